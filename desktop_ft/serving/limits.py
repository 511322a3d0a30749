"""What a server takes at most, so that no client can fill its memory or its time."""

from pydantic import Field, model_validator

from desktop_ft.core.language import tr
from desktop_ft.core.values import Described

MB = 1_000_000


class Limits(Described):
    """Every limit of the server; each is an option of `desktop-ft serve`."""

    body_mb: float = Field(32, gt=0, le=1024, description="Largest body of a request, in MB; a larger one gets 413.")
    bodies_mb: float = Field(256, gt=0, le=65536, description="Bodies of all requests at once, in MB; beyond it they get 503.")
    pictures: int = Field(64, ge=1, le=1024, description="Most pictures in one request; more get 413.")
    rate: float = Field(
        50,
        ge=0,
        le=100_000,
        description="Requests a second from one address, and at once after a pause; more get 429. 0: no limit.",
    )
    connections: int = Field(256, ge=1, le=4096, description="Connections at once; one more gets 503.")
    address_connections: int = Field(
        128, ge=0, le=4096, description="Connections at once from one address; one more gets 429. 0: no limit but that of all."
    )
    queue: int = Field(256, ge=1, le=65536, description="Pictures that wait for their answer at once; more get 503.")
    address_queue: int = Field(
        192,
        ge=0,
        le=65536,
        description="Pictures of one address that wait for their answer at once, those of one request at least; more get 429. "
        "0: no limit but that of all.",
    )
    batch: int = Field(16, ge=1, le=256, description="Pictures that are computed together, where so many wait.")
    decoders: int = Field(
        2,
        ge=1,
        le=64,
        description="Pictures that are decoded at once; each may take 1 GB of memory, if it has 100 million pixels.",
    )
    timeout: float = Field(30, ge=0.1, le=3600, description="Seconds that a request may take, from its first byte to its answer.")
    idle: float = Field(5, ge=0.1, le=3600, description="Seconds that a connection may stay open without a request.")

    @model_validator(mode="after")
    def _agree(self) -> "Limits":
        if self.bodies_mb < self.body_mb:
            raise ValueError(tr("bodies_mb: must be at least body_mb, or the largest body could never be taken"))
        if self.queue < self.pictures:
            raise ValueError(tr("queue: must be at least pictures, or the largest request could never be taken"))
        return self
