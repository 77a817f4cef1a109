"""The contract between server and agent: `v1/broker.proto`, its values and their codec."""
