"""How a run is asked to pause, to stop or to be cancelled, from any thread."""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunControl:
    """Three requests that a run looks at between steps. Asking is all there is: the loop ends itself.

    Attributes:
        cancel: end now; what was learned since the last checkpoint is dropped.
        stop: end now, keep what there is: a last checkpoint is saved, and the best one stays usable.
        pause: wait (with a checkpoint saved) until it is cleared; cancel and stop still work.
    """

    cancel: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)
