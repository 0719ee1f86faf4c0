import os

from sync_ui import config, create_app, logs

config.forget_debugging()
# The web server's own processes and the worker have said already what they are.
logs.configure("command" if os.environ.get("FLASK_RUN_FROM_CLI") else "web", again=False)
app = create_app()
