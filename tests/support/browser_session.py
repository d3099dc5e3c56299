"""A member of staff with a browser, and all errors and warnings that the browser reports."""

from django.contrib.auth.models import User
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.support.staff_login import PASSWORD, code_of

PATIENCE_MS = 120_000
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}

OVERFLOW = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > width + 1)
    .map((element) => element.outerHTML.slice(0, 120));
}
"""

UNLABELLED = """
() => [...document.querySelectorAll("input, select, textarea, button, a[href]")]
  .filter((element) => element.type !== "hidden" && element.checkVisibility())
  .filter((element) => !(
    element.labels?.length || element.getAttribute("aria-label") || element.getAttribute("aria-labelledby")
    || element.title || element.placeholder || element.textContent.trim() || element.value && element.type === "submit"
    || element.querySelector("img[alt]")))
  .map((element) => element.outerHTML.slice(0, 160))
"""

CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colour, below) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = `rgb(${below.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (element) => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(getComputedStyle(at).backgroundColor);
    return chain.reduce((below, colour) => over(colour, below), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(".state, .flag, .desk-muted, .desk-good, .hint")]
    .filter((element) => element.checkVisibility() && element.textContent.trim())
    .map((element) => {
      const back = behind(element);
      const [high, low] = [luminance(over(getComputedStyle(element).color, back)), luminance(back)]
        .sort((one, other) => other - one);
      return [`${element.className}: ${element.textContent.trim().slice(0, 20)}`, (high + 0.05) / (low + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
}
"""


class Visitor:
    """Opens pages, and keeps each console error and each violation of a content policy."""

    def __init__(self, chromium: Browser, url: str, user: User, app: TOTPDevice) -> None:
        self.url = url
        self.reported_errors: list[str] = []
        self._user, self._app = user, app
        self._context = chromium.new_context(viewport=WIDE, color_scheme="light")  # type: ignore[arg-type]  # a plain dict
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self._note(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}", wait_until="load")
        return self.page

    def enter_password(self) -> Page:
        """Send name and password. Returns the page that asks for a code."""
        page = self.go("/admin/")
        page.get_by_label("Username").fill(self._user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Code").wait_for()
        return page

    def log_in(self) -> Page:
        """Log in with password and code. Returns the first page of the desk."""
        page = self.enter_password()
        page.get_by_label("Code").fill(code_of(self._app))
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(f"{self.url}/admin/")
        return page

    def set_appearance(self, *, dark: bool, width: dict[str, int]) -> None:
        """Show the page in light or dark colours at this width."""
        self.page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
        self.page.set_viewport_size(width)  # type: ignore[arg-type]  # a plain dict

    def overflowing(self) -> list[str]:
        """Return elements that are wider than the window and make the page scroll sideways."""
        return list(self.page.evaluate(OVERFLOW))

    def unlabelled(self) -> list[str]:
        """Return controls and links without a name for screen readers."""
        return list(self.page.evaluate(UNLABELLED))

    def too_faint(self) -> list[object]:
        """Return labels whose contrast is below WCAG 2.2's 4.5 : 1 for text (1.4.3)."""
        return list(self.page.evaluate(CONTRAST))

    def close(self) -> None:
        self._context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(message.text)

    def _note(self, what: str) -> None:
        self.reported_errors.append(f"{self.page.url}: {what}")
