"""All that knows gRPC and flyteidl. What leaves here is made of `exporter.model` words alone."""
