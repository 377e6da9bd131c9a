"""The read model of samples: what lists and searches are answered from. Derived; rebuilt at any time."""

from typing import Any

from contracts.aggregate import Loaded
from contracts.sample import ListSamples, SampleStatus, SampleView
from contracts.types import Page
