from sync_ui import create_app

app = create_app()
