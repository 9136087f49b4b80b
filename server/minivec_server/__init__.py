"""The REST server of minivec: `create_app` for any ASGI server, `run` for a whole process."""
