"""Pictures of images with boxes, masks and labels; Pillow and matplotlib draw, the extras `images` and `plot`."""

from compat.visualization._draw import draw_bounding_boxes as draw_bounding_boxes
from compat.visualization._draw import draw_segmentation_masks as draw_segmentation_masks
from compat.visualization._gallery import plot_bounding_box_gallery as plot_bounding_box_gallery
from compat.visualization._gallery import plot_image_gallery as plot_image_gallery
from compat.visualization._gallery import plot_segmentation_mask_gallery as plot_segmentation_mask_gallery
from kfun.errors import unknown_names_of

__getattr__ = unknown_names_of(globals())
