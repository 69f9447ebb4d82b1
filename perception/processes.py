"""The processes of one training run: one alone, or several that `torchrun` started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from perception.errors import PerceptionError

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process among `count`, numbered from 0, and the device it computes on."""

    number: int
    count: int
    device: torch.device

    @classmethod
    def alone(cls) -> "Processes":
        return cls(0, 1, torch.device("cuda", 0) if torch.cuda.is_available() else _CPU)

    @classmethod
    @contextmanager
    def joined(cls) -> "Iterator[Processes]":
        """Meets the others that `torchrun` tells of in the environment, and parts at the end."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            yield cls.alone()
            return
        on_gpu = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else _CPU
        if on_gpu:
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if on_gpu else "gloo")
        try:
            yield cls(distributed.get_rank(), count, device)
        finally:
            distributed.destroy_process_group()

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def share(self, batch: int) -> range:
        """This process's places in a batch. Raises PerceptionError when it can't be shared out."""
        if batch % self.count:
            raise PerceptionError(
                f"a batch of {batch} can't be shared by {self.count} processes; choose a --batch "
                f"that is a multiple of {self.count}"
            )
        return range(self.number, batch, self.count)

    def wrap(self, network: nn.Module) -> nn.Module:
        """The same network, its gradients and batch statistics shared with the others'."""
        if self.count == 1:
            return network
        if self.device.type == "cuda":  # not to be had on CPUs, where each process has its own
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return nn.parallel.DistributedDataParallel(network)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the processes."""
        if self.count == 1:
            return values
        distributed.all_reduce(values)
        return values / self.count
