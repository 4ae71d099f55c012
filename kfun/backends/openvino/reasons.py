"""What OpenVINO has no way to compute, and what to do instead: the reasons that a call is refused with."""

from __future__ import annotations

from kfun.backends.graphs.reasons import IN_NO_GRAPH, without_complex

NO_DATA = "graph values have no data before the compiled model runs; run it and convert its results"
_LACKS = "it has no {}; {}"
_BEFORE = "factor the matrix before export"
_SVD = _LACKS.format("singular value decomposition", "decompose the matrix before export")
_NO_COMPLEX = "it has no complex type; keep real and imaginary parts as two arrays"

REASONS: dict[str, str] = {
    **IN_NO_GRAPH,
    "convert_to_numpy": NO_DATA,  # constants have data, so there is a rule as well
    "cholesky": _LACKS.format("Cholesky decomposition", _BEFORE),
    "det": _LACKS.format("determinants", "compute them before export, or from ops.inv of matrices that you can factor"),
    "slogdet": _LACKS.format("determinants", "compute them before export"),
    "logdet": _LACKS.format("determinants", "compute them before export"),
    "eig": _LACKS.format("eigendecomposition", "decompose the matrix before export"),
    "eigh": _LACKS.format("eigendecomposition", "decompose the matrix before export"),
    "qr": _LACKS.format("QR decomposition", _BEFORE),
    "lu_factor": _LACKS.format("LU decomposition", f"use ops.solve or ops.inv, or {_BEFORE}"),
    "svd": _SVD,
    "pinv": _SVD + ", or use ops.inv of a square one",
    "lstsq": _SVD + ", or use ops.solve of the normal equations",
    "matrix_rank": _SVD,
    **without_complex(_NO_COMPLEX),
}
