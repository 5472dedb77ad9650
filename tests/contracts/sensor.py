"""The suite of every sensor is part of the product: `edge_agent.testing`."""

from edge_agent.testing import SensorContract

__all__ = ["SensorContract"]
