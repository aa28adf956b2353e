"""What the page draws, as Vega-Lite reads it; colours and letters are the page's own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
#: Bars of a histogram.
_BINS = 30
_HEIGHT = 240
_ABOVE = {"orient": "top"}
#: Share that a logarithmic axis can show.
_LEAST = 1e-6


def sizes(counts: NDArray[np.int64]) -> Json:
    """How many buckets hold how many documents.

    Args:
        counts: (m,) int64, documents in each bucket that has any.
    """
    edges = np.unique(np.linspace(0, counts.max(initial=1) + 1, _BINS + 1).astype(np.int64))
    heights, _ = np.histogram(counts, edges)
    values = [
        {"from": low, "to": high, "buckets": height}
        for low, high, height in zip(
            edges[:-1].tolist(), edges[1:].tolist(), heights.tolist(), strict=True
        )
    ]
    return _plot(values) | {
        "mark": "bar",
        "encoding": {
            "x": _number("from", "documents in a bucket", bin={"binned": True}),
            "x2": {"field": "to"},
            "y": _number("buckets", "buckets"),
            "tooltip": [
                {"field": name, "type": "quantitative"} for name in ("from", "to", "buckets")
            ],
        },
    }


def recalls(delivered: Sequence[Mapping[str, Any]]) -> Json:
    """Recall against the share looked into, as it was measured when the index was tuned.

    Args:
        delivered: `recall`, `looked_into`, `queries` and `k` of each point.
    """
    values = [{**one, "looked_into": max(one["looked_into"], _LEAST)} for one in delivered]
    lowest = min([0.9, *(one["recall"] for one in delivered)])
    share = _number("looked_into", "share of the documents looked into")
    return _plot(values) | {
        "mark": {"type": "line", "point": {"size": 60}},
        "encoding": {
            "x": share | {"scale": {"type": "log"}, "axis": {"format": "~%"}},
            "y": _number("recall", "recall", scale={"domain": [lowest, 1.0]}),
            "color": _named("k", "k"),
            "strokeDash": _named("queries", "queries"),
            "tooltip": [{"field": name} for name in ("queries", "k", "recall", "looked_into")],
        },
    }


def cells(points: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]]) -> Json:
    """Cells in two dimensions, and hits among them.

    Args:
        points: `x`, `y`, `bucket`, `documents` and `is_probed` of each cell.
        marks: `x`, `y`, `what` and `id` of the query and its hits.
    """
    place = {
        axis: {"field": axis, "type": "quantitative", "axis": None, "scale": {"zero": False}}
        for axis in ("x", "y")
    }
    layers: list[Json] = [
        {
            "data": {"values": list(points)},
            "params": [{"name": "zoom", "select": "interval", "bind": "scales"}],
            "mark": "circle",
            "encoding": {
                **place,
                "size": {
                    "field": "documents", "type": "quantitative", "title": "documents",
                    "scale": {"range": [4, 400]}, "legend": None,
                },
                "color": {
                    "field": "is_probed", "type": "nominal", "title": None,
                    "scale": {"domain": [False, True], "range": ["quiet", "lit"]}, "legend": None,
                },
                "opacity": {"condition": {"test": "datum.is_probed", "value": 1}, "value": 0.5},
                "tooltip": [{"field": "bucket"}, {"field": "documents", "type": "quantitative"}],
            },
        }
    ]  # fmt: skip
    if marks:
        layers.append(
            {
                "data": {"values": list(marks)},
                "mark": {"type": "point", "filled": True, "size": 120, "color": "mark"},
                "encoding": {
                    **place,
                    "shape": {
                        "field": "what", "type": "nominal", "title": None,
                        "scale": {"domain": ["query", "hit"], "range": ["diamond", "circle"]},
                        "legend": _ABOVE,
                    },
                    "tooltip": [{"field": "what"}, {"field": "id"}],
                },
            }
        )  # fmt: skip
    return {"width": "container", "height": 560, "layer": layers}


def _plot(values: Sequence[Any]) -> Json:
    return {"width": "container", "height": _HEIGHT, "data": {"values": values}}


def _number(field: str, title: str, **more: Any) -> Json:
    return {"field": field, "type": "quantitative", "title": title, **more}


def _named(field: str, title: str) -> Json:
    return {"field": field, "type": "nominal", "title": title, "legend": _ABOVE}
