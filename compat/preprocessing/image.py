"""Images in files and arrays."""

from compat.utils._images import array_to_img as array_to_img
from compat.utils._images import img_to_array as img_to_array
from compat.utils._images import load_img as load_img
from compat.utils._images import save_img as save_img
from compat.utils._images import smart_resize as smart_resize
