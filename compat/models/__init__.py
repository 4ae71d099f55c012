"""Models."""

from compat.models.cloning import clone_model as clone_model
from compat.models.functional import Functional as Functional
from compat.models.model import Model as Model
from compat.models.sequential import Sequential as Sequential
from kfun.errors import unknown_names_of as _unknown_names_of

_LATER = dict.fromkeys(("load_model", "save_model"), "compat.saving.files")  # which brings the libraries of files
__getattr__ = _unknown_names_of(globals(), _LATER | {"model_from_json": "compat.models._json"})
