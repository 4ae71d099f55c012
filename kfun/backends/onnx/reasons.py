"""What ONNX has no way to compute, and what to do instead: the reasons that a call is refused with."""

from __future__ import annotations

from kfun.backends.graphs.reasons import IN_NO_GRAPH, without_complex

NO_DATA = "graph values have no data before the model runs; run it and convert its results"
_LACKS = "it has no {}; {} before export"
_SVD = _LACKS.format("singular value decomposition", "decompose the matrix")
_NO_COMPLEX = "it has no arithmetic of complex numbers; keep real and imaginary parts as two arrays"

REASONS: dict[str, str] = {
    **IN_NO_GRAPH,
    "convert_to_numpy": NO_DATA,  # constants have data, so there is a rule as well
    "cholesky": _LACKS.format("Cholesky decomposition", "factor the matrix"),
    "slogdet": _LACKS.format("logarithms of determinants", "use ops.det, or compute them"),
    "logdet": _LACKS.format("logarithms of determinants", "use ops.det, or compute them"),
    "eig": _LACKS.format("eigendecomposition", "decompose the matrix"),
    "eigh": _LACKS.format("eigendecomposition", "decompose the matrix"),
    "qr": _LACKS.format("QR decomposition", "factor the matrix"),
    "lu_factor": _LACKS.format("LU decomposition", "use ops.solve or ops.inv, or factor the matrix"),
    "svd": _SVD,
    "pinv": f"{_SVD}, or use ops.inv of a square one",
    "lstsq": f"{_SVD}, or use ops.solve of the normal equations",
    "matrix_rank": _SVD,
    **without_complex(_NO_COMPLEX),
}
