"""Bounding boxes; see `kfun.ops.bounding_boxes`."""

from kfun.ops.bounding_boxes import clip_to_image_size as clip_to_image_size
from kfun.ops.bounding_boxes import compute_ciou as compute_ciou
from kfun.ops.bounding_boxes import compute_iou as compute_iou
from kfun.ops.bounding_boxes import convert_format as convert_format
from kfun.ops.bounding_boxes import crop as crop
from kfun.ops.bounding_boxes import pad as pad
from kfun.ops.box_coding import affine_transform as affine_transform
from kfun.ops.box_coding import decode_deltas_to_boxes as decode_deltas_to_boxes
from kfun.ops.box_coding import encode_box_to_deltas as encode_box_to_deltas
