"""Images that owners upload for tasks to start from: received, checked, kept for a day, and held by what uses them.

The bytes are streamed to a file and hashed on the way; nothing is decoded here.
"""

from xinflight.uploads.uploads import Uploads

__all__ = ["Uploads"]
