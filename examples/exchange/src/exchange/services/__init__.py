"""The exchange's services. Each module is one process and imports only the parts of the family that it needs."""
