import os
import sys

from sync_ui import config, create_app, logs
from sync_ui.cli import rescue

config.forget_debugging()
# The web server's own processes and the worker have said already what they are.
logs.configure("command" if os.environ.get("FLASK_RUN_FROM_CLI") else "web", again=False)
app = rescue.make() if rescue.is_called(sys.argv) else create_app()
