from typing import Any

ProfileRequest: Any
ProfileResponse: Any
