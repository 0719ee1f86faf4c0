"""Who we talk to outside of this process."""
