"""The URLs of a process that serves the desk."""

from django.contrib import admin
from django.urls import path

from config.serving import DESK_PATH
from config.urls.shared import CLIENT_ERROR, SERVER_ERROR, SHARED

DESK = [path(DESK_PATH.removeprefix("/"), admin.site.urls)]

urlpatterns = [*DESK, *SHARED]
handler400 = handler403 = handler404 = CLIENT_ERROR
handler500 = SERVER_ERROR
