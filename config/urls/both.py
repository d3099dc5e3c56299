"""The URLs of a process that serves the storefront API and the desk."""

from config.urls.desk import DESK
from config.urls.shared import CLIENT_ERROR, SERVER_ERROR, SHARED
from config.urls.storefront import STOREFRONT

urlpatterns = [*DESK, *STOREFRONT, *SHARED]
handler400 = handler403 = handler404 = CLIENT_ERROR
handler500 = SERVER_ERROR
