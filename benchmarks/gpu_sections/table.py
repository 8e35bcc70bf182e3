"""The table of docs/results.md, from the JSON that benchmarks/gpu.py writes."""

from __future__ import annotations

from benchmarks.gpu_sections.bench import Found


def table(found: Found) -> str:
    """Markdown for docs/results.md."""
    where = found["about"]
    cuda = f", CUDA {where['cuda']}" if where["cuda"] else ""
    lines = [
        f"{where['device']}, torch {where['torch']}{cuda}, Python {where['python']}, {where['date']}.",
        "",
        "| preset | parameters | first to last loss | step | frames a second | goodput | kernels | memory (estimate) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    models = found.get("speed", {}).get("models", {})
    for model, one in ((m, o) for m, o in found.get("presets", {}).items() if isinstance(o, dict)):
        fast = models.get(model, {})
        memory = (
            f"{one['memory_bytes'] / 1e9:.1f} ({one['memory_estimate'] / 1e9:.1f}) GB" if "memory_bytes" in one else ""
        )
        lines.append(
            f"| {model} | {one['parameters'] / 1e6:.1f} M | {one['loss_first']:.2f} to {one['loss_last']:.2f} |"
            f" {_shown(fast.get('step_seconds'), 1000, ' ms')} | {_shown(fast.get('frames_a_second'), 1)} |"
            f" {_shown(fast.get('goodput'), 100, ' %')} | {_shown(fast.get('kernel_share'), 100, ' %')} | {memory} |"
        )
    lines += ["", "| what | result |", "|---|---|"]
    for model, one in found.get("precision", {}).items():
        if isinstance(one, dict):
            lines.append(
                f"| bf16 against float32, `{model}`: change of the objective | {100 * one['objective_change']:+.2f} % |"
            )
    for model, one in found.get("determinism", {}).items():
        if isinstance(one, dict):
            equal = "equal bit by bit" if one["equal"] else f"differ by up to {one['largest_difference']:.1e}"
            lines.append(f"| two equal runs, `{model}` | {equal} |")
    if found.get("waits", {}).get("an_epoch") is not None:
        lines.append(f"| times an epoch waits for the device | {found['waits']['an_epoch']} |")
    for model, one in found.get("learning", {}).items():
        if isinstance(one, dict) and "objective" in one:
            gap = one["objective"]
            word = "within" if gap["within"] else "outside"
            lines.append(
                f"| objective of `{model}` on GPU less CPU, {one['seeds']} seeds | {gap['difference']:+.4f}"
                f" (standard error {gap['standard_error']:.4f}): {word} seed noise |"
            )
    for name, one in found.get("packed", {}).items():
        if isinstance(one, dict):
            lines.append(f"| {name} processes on one device | {one['updates_a_second']:.1f} updates a second in all |")
    for model, ways in found.get("levers", {}).items():
        if isinstance(ways, dict):
            shown = "; ".join(f"{way} {_shown(value, 1000, ' ms')}" for way, value in ways.items())
            lines.append(f"| a step of `{model}` | {shown} |")
    lines += [
        f"| {name} | {section.get('error') or section['skipped']} |"
        for name, section in found.items()
        if {"error", "skipped"} & set(section)
    ]
    return "\n".join(lines)


def _shown(value: object, scale: float, unit: str = "") -> str:
    if isinstance(value, (int, float)):
        return f"{scale * value:,.1f}{unit}" if scale > 1 else f"{value:,.0f}{unit}"
    return "" if value is None else str(value).partition(":")[0]
