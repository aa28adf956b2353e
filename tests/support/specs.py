"""Small models of each kind, and where networks are trained."""

from meta4.models.specs import CellsSpec, ItqSpec, LshSpec
from meta4.models.training.options import TrainingOptions

SPECS = {
    "lsh": LshSpec(n_bits=96, bits_per_table=6, n_tables=2, seed=3),
    "itq": ItqSpec(n_bits=136, bits_per_table=7, seed=3, iterations=10),
    "cells": CellsSpec(n_bits=72, n_buckets=128, seed=3, iterations=5),
}
CPU = TrainingOptions(device="cpu")
