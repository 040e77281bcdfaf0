"""Update rules: torch's, with the fields that a recipe may set. Fused kernels where torch has them.

A learning rate here is multiplied by the schedule's factor of the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["ASGD", "NTASGD", "SGD", "Adagrad", "Adam", "AdamW"]

Parameters = Iterable[nn.Parameter]


def _fusible(parameters: list[nn.Parameter]) -> bool:
    """torch has fused kernels for float parameters on these devices."""
    return all(p.device.type in ("cpu", "cuda", "mps") and p.is_floating_point() for p in parameters)


class _Ranges:
    """Checks the fields that all optimizers share, and Adam's decays.

    Attributes:
        averages: does it keep an average of the weights, as "ax" in its state?
    """

    averages = False

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A positive step size, decays of means in [0, 1), nothing negative."""
        faults = [] if fields["lr"] > 0 else [("lr", f"lr is {fields['lr']}, expected more than 0")]
        for name in ("beta1", "beta2"):
            if name in fields and not 0 <= fields[name] < 1:
                faults.append((name, f"{name} is {fields[name]}, expected 0 <= {name} < 1"))
        for name in ("eps", "weight_decay", "momentum", "lr_decay", "lambd", "alpha", "t0"):
            if name in fields and fields[name] < 0:
                faults.append((name, f"{name} is {fields[name]}, expected 0 or more"))
        return faults


class Adam(_Ranges, torch.optim.Adam):
    """Adam (Kingma and Ba 2015).

    Fields:
        lr: step size.
        beta1, beta2: decay of the running means of gradient and squared gradient.
        eps: added to the root of the second mean.
        weight_decay: lambda, lambda x weight is added to the gradient (L2 penalty).
        amsgrad: keep the maximum of the second mean (Reddi, Kale and Kumar 2018).
    """

    def __init__(
        self,
        parameters: Parameters,
        /,
        *,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ):
        parameters = list(parameters)
        super().__init__(
            parameters,
            lr=lr,
            betas=(beta1, beta2),
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            fused=_fusible(parameters),
        )


class AdamW(_Ranges, torch.optim.AdamW):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Fields:
        lr: step size.
        beta1, beta2: decay of the running means of gradient and squared gradient.
        eps: added to the root of the second mean.
        weight_decay: each step scales weights by 1 - lr x weight_decay.
    """

    def __init__(
        self,
        parameters: Parameters,
        /,
        *,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        parameters = list(parameters)
        super().__init__(
            parameters, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, fused=_fusible(parameters)
        )


class SGD(_Ranges, torch.optim.SGD):
    """Stochastic gradient descent, plain or with momentum (Polyak 1964; Nesterov 1983).

    Fields:
        lr: step size.
        momentum: share of the last update that is kept.
        nesterov: look ahead; needs momentum.
        weight_decay: lambda, lambda x weight is added to the gradient.
    """

    def __init__(
        self,
        parameters: Parameters,
        /,
        *,
        lr: float = 0.1,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ):
        parameters = list(parameters)
        super().__init__(
            parameters,
            lr=lr,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            fused=_fusible(parameters),
        )

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Nesterov's rule needs momentum."""
        faults = super().check_fields(fields)
        if fields["nesterov"] and not fields["momentum"]:
            faults.append(("nesterov", "needs momentum; set 'momentum: 0.9' or 'nesterov: false'"))
        return faults


class Adagrad(_Ranges, torch.optim.Adagrad):
    """Adagrad (Duchi, Hazan and Singer 2011).

    Fields:
        lr: step size.
        lr_decay: the step size is divided by 1 + lr_decay x (steps done).
        eps: added to the root of the sum of squares.
        weight_decay: lambda, lambda x weight is added to the gradient.
    """

    def __init__(
        self,
        parameters: Parameters,
        /,
        *,
        lr: float = 0.01,
        lr_decay: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ):
        super().__init__(list(parameters), lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay)


class ASGD(_Ranges, torch.optim.ASGD):
    """Averaged stochastic gradient descent (Polyak and Juditsky 1992; step sizes as Bottou 2012).

    The model that is evaluated and kept is the average of the weights from step t0 + 2 on.

    Fields:
        lr: step size at the start.
        lambd, alpha: the step size at step t is lr / (1 + lambd x lr x t)^alpha; lambd: 0 keeps it.
        t0: averaging begins with the weights after step t0 + 2.
        weight_decay: lambda, lambda x weight is added to the gradient.
    """

    averages = True

    def __init__(
        self,
        parameters: Parameters,
        /,
        *,
        lr: float = 1.0,
        lambd: float = 0.0,
        alpha: float = 0.75,
        t0: int = 0,
        weight_decay: float = 0.0,
    ):
        super().__init__(list(parameters), lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)


class NTASGD(_Ranges, torch.optim.SGD):
    """Gradient descent whose weights are averaged from the moment on when it no longer gets better (Merity, Keskar and
    Socher 2017, arXiv 1708.02182, algorithm 1: the non-monotonically triggered ASGD of AWD-LSTM).

    After each evaluation on the validation split the score is compared with the best of those more than `patience`
    evaluations ago. Where it is not better, averaging begins. The model that is evaluated and kept is then the average
    of the weights after every step since; the steps themselves go on with the same learning rate.

    Fields:
        lr: step size.
        patience: n, evaluations that are waited for.
        weight_decay: lambda, lambda x weight is added to the gradient.
    """

    averages = True

    def __init__(self, parameters: Parameters, /, *, lr: float = 30.0, patience: int = 5, weight_decay: float = 0.0):
        parameters = list(parameters)
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, fused=_fusible(parameters))
        for group in self.param_groups:  # saved with the state: what was seen, and when averaging began
            group.update(patience=patience, observed=[], averaging=False, averaged=0)

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """A positive step size, patience of at least one evaluation."""
        faults = super().check_fields(fields)
        if fields["patience"] < 1:
            faults.append(("patience", f"patience is {fields['patience']}, expected 1 evaluation or more"))
        return faults

    def observe(self, value: float, higher_is_better: bool) -> None:
        """Told after each evaluation on the validation split."""
        for group in self.param_groups:
            cost = -value if higher_is_better else value
            earlier = group["observed"][: -group["patience"]]
            group["averaging"] |= bool(earlier) and cost > min(earlier)
            group["observed"] = [*group["observed"], cost]

    def step(self, closure: Any = None) -> Any:
        """One update, and one more set of weights in the average once averaging has begun."""
        loss = super().step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                if not group["averaging"]:
                    continue
                group["averaged"] += 1
                for parameter in group["params"]:
                    average = self.state[parameter].setdefault("ax", torch.zeros_like(parameter))
                    average.lerp_(parameter, 1 / group["averaged"])
        return loss
