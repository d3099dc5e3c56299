"""The desk's site: every registered admin, in one look, behind one door."""

from unfold.sites import UnfoldAdminSite


class DeskSite(UnfoldAdminSite):
    enable_nav_sidebar = True
