"""Bounding boxes; see `kfun.ops.bounding_boxes`."""

from kfun.ops.bounding_boxes import clip_to_image_size as clip_to_image_size
from kfun.ops.bounding_boxes import compute_ciou as compute_ciou
from kfun.ops.bounding_boxes import compute_iou as compute_iou
from kfun.ops.bounding_boxes import convert_format as convert_format
from kfun.ops.bounding_boxes import crop as crop
from kfun.ops.bounding_boxes import pad as pad
