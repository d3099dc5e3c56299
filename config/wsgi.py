"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from config.charset_middleware import only_utf8
from config.header_limits import refuse_long_headers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = refuse_long_headers(only_utf8(get_wsgi_application()))
