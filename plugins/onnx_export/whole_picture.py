"""The part of a graph that makes the network's input of one decoded picture of any size, as training does."""

import onnx
from onnx import compose, parser

from desktop_ft.api import Interpolation, ResizeRule

# The steps and their rounding are those of `desktop_ft.data.decode`: the middle of a strip, the shorter side to `side`
# with Pillow's antialiased filter (exclude_outside: it ends at the border, as Pillow's does), the middle `crop` x `crop`.
_GRAPH = """
<ir_version: {ir}, opset_import: ["" : {opset}]>
whole_picture (uint8[height, width, 3] picture) => (float[batch, 3, {crop}, {crop}] pictures) {{
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    side = Constant <value_ints = [{side}]> ()
    crop = Constant <value_ints = [{crop}]> ()
    longest = Constant <value_ints = [{longest}]> ()
    both = Constant <value_ints = [0, 1]> ()

    shape = Shape <start = 0, end = 2> (picture)
    shorter = ReduceMin <keepdims = 1> (shape)
    greater = ReduceMax <keepdims = 1> (shape)
    enlarged = Mul (side, greater)
    longer = Div (enlarged, shorter)
    most = Mul (longest, side)
    is_strip = Greater (longer, most)
    widest = Mul (longest, shorter)
    limit = Where (is_strip, widest, greater)
    kept = Min (shape, limit)
    left_out = Sub (shape, kept)
    kept_from = Div (left_out, two)
    kept_to = Add (kept_from, kept)
    strip = Slice (picture, kept_from, kept_to, both)

    aim_longer = Min (longer, most)
    is_shorter = Equal (shape, shorter)
    aim = Where (is_shorter, side, aim_longer)
    channels_first = Transpose <perm = [2, 0, 1]> (strip)
    zero = Constant <value_ints = [0]> ()
    one_picture = Unsqueeze (channels_first, zero)
    three = Constant <value_ints = [3]> ()
    sizes = Concat <axis = 0> (one, three, aim)
    resized = Resize <mode = "{mode}", antialias = 1, exclude_outside = 1, cubic_coeff_a = -0.5,
        coordinate_transformation_mode = "half_pixel"> (one_picture, , , sizes)

    over = Sub (aim, crop)
    over_float = Cast <to = 1> (over)
    half = Constant <value_floats = [0.5]> ()
    middle = Mul (over_float, half)
    rounded = Round (middle)
    crop_from = Cast <to = 7> (rounded)
    crop_to = Add (crop_from, crop)
    last_two = Constant <value_ints = [2, 3]> ()
    cropped = Slice (resized, crop_from, crop_to, last_two)
    as_float = Cast <to = 1> (cropped)
    brightest = Constant <value_float = 255.0> ()
    pictures = Div (as_float, brightest)
}}
"""
_MODES = {Interpolation.BILINEAR: "linear", Interpolation.BICUBIC: "cubic"}
_LONGEST = 8


def before(proto: onnx.ModelProto, rule: ResizeRule) -> onnx.ModelProto:
    """`proto`, whose input is `pictures`, made to take one `picture`, uint8 (height, width, 3), instead."""
    text = _GRAPH.format(
        ir=proto.ir_version,
        opset=next(entry.version for entry in proto.opset_import if not entry.domain),
        side=max(rule.resize, rule.crop),
        crop=rule.crop,
        longest=_LONGEST,
        mode=_MODES[rule.interpolation],
    )
    part = compose.add_prefix(parser.parse_model(text), "whole_", rename_inputs=False, rename_outputs=False)
    part.opset_import.extend(entry for entry in proto.opset_import if entry.domain)
    return compose.merge_models(part, proto, io_map=[("pictures", "pictures")])
