"""What it costs on this machine: memory, processor time, latency, throughput."""
