"""Forward hooks on a custom network: the outputs of its inner parts, by name, as they are computed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import torch
from torch import Tensor, fx, nn

OnOutput = Callable[[str, Tensor], None]
"""Called with each output: its name and the tensor, which later operations may still change in place."""

_PAD_MODES = {"reflect": "reflect", "replicate": "replicate", "circular": "circular"}

_TRAINING_ARGUMENT = {"aten.batch_norm": 5, "aten.dropout": 2}
"""Position of the argument that says whether an operation is to behave as in training."""


class StopForward(BaseException):
    """Raised by an `OnOutput` to end a network's run early; no network's own ``except Exception`` catches it."""


class FeatureHooks(nn.Module, ABC):
    """A network and the names of the inner outputs that it can report while it runs."""

    @abstractmethod
    def kinds(self) -> Mapping[str, str]:
        """The kind of module or operation behind each output, by name, as ``"Conv2d"``, in no particular order."""

    @abstractmethod
    def run(self, x: Tensor, names: Collection[str], on_output: OnOutput) -> None:
        """Runs the network on a prepared picture.

        Args:
            x: Shape (B, 3, H, W).
            names: The outputs to report.
            on_output: Called with each of these outputs that is a tensor; may raise `StopForward`.
        """

    def adapt(self, *, pooling: str, padding: str) -> list[str]:
        """Changes how the network pools and continues the picture past its border, where it can be changed.

        Args:
            pooling: As in the recipe.
            padding: As in the recipe.

        Returns:
            The names of the recipe's parameters that have no effect in this network.
        """
        asked = {"pooling": pooling != "max", "padding": padding != "zero"}
        return [name for name, is_asked in asked.items() if is_asked]


class ModuleHooks(FeatureHooks):
    """A network whose outputs are those of its modules, by their dotted names.

    Args:
        network: Any module that takes a picture of shape (B, 3, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def kinds(self) -> Mapping[str, str]:
        """See `FeatureHooks.kinds`."""
        return {name: type(module).__name__ for name, module in self.network.named_modules() if name}

    def run(self, x: Tensor, names: Collection[str], on_output: OnOutput) -> None:
        """See `FeatureHooks.run`."""

        def hook(name: str) -> Callable[[nn.Module, object, object], None]:
            def report(_module: nn.Module, _inputs: object, output: object) -> None:
                if isinstance(output, Tensor):
                    on_output(name, output)

            return report

        modules = dict(self.network.named_modules())
        handles = [modules[name].register_forward_hook(hook(name)) for name in names]
        try:
            with suppress(StopForward):
                self.network(x)
        finally:
            for handle in handles:
                handle.remove()

    def adapt(self, *, pooling: str, padding: str) -> list[str]:
        """Exchanges the pooling modules and sets the padding of convolutions; see `FeatureHooks.adapt`."""
        ineffective = super().adapt(pooling=pooling, padding=padding)
        if "pooling" in ineffective and self._average_pools():
            ineffective.remove("pooling")
        if "padding" in ineffective and self._pad_by(_PAD_MODES[padding]):
            ineffective.remove("padding")
        return ineffective

    def _average_pools(self) -> bool:
        named = self.network.named_modules(remove_duplicate=False)  # one pooling may have several names
        pools = [(name, module) for name, module in named if name and isinstance(module, nn.MaxPool2d)]
        for name, pool in pools:
            parent, _, child = name.rpartition(".")
            average = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode)
            setattr(self.network.get_submodule(parent), child, average)
        return bool(pools)

    def _pad_by(self, mode: str) -> bool:
        convs = [m for m in self.network.modules() if isinstance(m, nn.Conv2d) and m.padding != "valid"]
        padded = [conv for conv in convs if isinstance(conv.padding, str) or any(conv.padding)]
        for conv in padded:
            conv.padding_mode = mode  # type: ignore[assignment]
        return bool(padded)


class GraphHooks(FeatureHooks):
    """An exported program, whose outputs are those of the modules it was exported from and of its graph's other nodes.

    A module's output is that of the last node traced within it; a node that is no module's last has its own name,
    after that of the module around it.

    Args:
        program: What `torch.export.ExportedProgram.module` gives.
    """

    def __init__(self, program: fx.GraphModule) -> None:
        super().__init__()
        # A copy, because an exported program's own module refuses eval(), which every encoder goes through.
        self.network = fx.GraphModule(program, program.graph)
        self._nodes: dict[str, fx.Node] = {}
        self._kinds: dict[str, str] = {}
        inner: dict[fx.Node, str] = {}
        for node in self.network.graph.nodes:
            if node.op == "call_function":
                _as_in_inference(node)
                stack = [(path, kind) for path, kind in node.meta.get("nn_module_stack", {}).values() if path]
                inner[node] = f"{stack[-1][0]}.{node.name}" if stack else node.name
                for path, kind in stack:  # the last node of a module has the last word
                    self._nodes[path], self._kinds[path] = node, str(kind).rpartition(".")[2]
        for node in inner.keys() - self._nodes.values():
            self._nodes[inner[node]], self._kinds[inner[node]] = node, str(node.target)

    def kinds(self) -> Mapping[str, str]:
        """See `FeatureHooks.kinds`."""
        return self._kinds

    def run(self, x: Tensor, names: Collection[str], on_output: OnOutput) -> None:
        """See `FeatureHooks.run`."""
        names_by_node: dict[fx.Node, list[str]] = {}
        for name in names:
            names_by_node.setdefault(self._nodes[name], []).append(name)
        with suppress(StopForward):
            _HookedInterpreter(self.network, names_by_node, on_output).run(x)


class _HookedInterpreter(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, names: Mapping[fx.Node, Collection[str]], on_output: OnOutput) -> None:
        super().__init__(module)
        self._names, self._on_output = names, on_output
        self.extra_traceback = False  # torch's own would print the graph into the message

    def run_node(self, n: fx.Node) -> object:
        output = super().run_node(n)
        if isinstance(output, Tensor):
            for name in self._names.get(n, ()):
                self._on_output(name, output)
        return output


def _as_in_inference(node: fx.Node) -> None:
    """Lets a normalization that was exported in training mode use its stored statistics, and silences dropout."""
    if isinstance(node.target, torch._ops.OpOverload):
        position = _TRAINING_ARGUMENT.get(str(node.target).partition(".default")[0])
        if position is not None and len(node.args) > position:
            node.update_arg(position, False)
