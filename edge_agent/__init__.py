"""IoT-LM on the edge: perceives live sensors, publishes over MQTT, answers questions."""

__version__ = "0.1.0"
