"""What is known of a running program without being passed along, each in a context variable of its own lifetime.

- `scope`: whose values variables show, while a step or a stateless call runs; and the type in which they show
  themselves, while a layer is called.
- `naming`: the layers and name scopes around, while a layer is built or called.
- `padded_rows`: which rows of a batch count, while a padded batch runs.
- `remat`: what is computed anew for the gradient, inside a `RematScope`.

Above are `engine.call_context` (`training` and the losses of an outermost call), below `serialization.registry` (names
and memory that data may use, while they are read). Settings of the process, masks and shapes are here too.
"""
