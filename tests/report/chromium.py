"""A headless Chromium, told what to do over its debugging pipe; it keeps what goes wrong."""

import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATH = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--mute-audio", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--disable-sync", "--remote-debugging-pipe"]


class Chromium:
    """One page of one browser; ``errors`` are its exceptions and its console's errors."""

    def __init__(self, profile):
        theirs, self.to = os.pipe()
        self.of, out = os.pipe()
        command = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{out}', "bash", PATH, *QUIET]
        command += [f"--user-data-dir={profile}", "about:blank"]
        nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, pass_fds=(theirs, out), **nothing)
        os.close(theirs), os.close(out)
        self.session, self.number, self.left, self.events, self.errors = None, 0, b"", [], []
        targets = self.ask("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **options):
        self.number += 1
        message = {"id": self.number, "method": method, "params": options}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            pass
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _next(self, seconds=300):  # a busy machine takes its time
        until = time.monotonic() + seconds
        while b"\0" not in self.left:
            ready, _, _ = select.select([self.of], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser says nothing"
            self.left += os.read(self.of, 1 << 20)
        one, self.left = self.left.split(b"\0", 1)
        message = json.loads(one)
        self.events.append(message.get("method"))
        self._keep_errors(message.get("method"), message.get("params", {}))
        return message

    def _keep_errors(self, method, what):
        wrong = method == "Runtime.exceptionThrown"
        wrong |= method == "Runtime.consoleAPICalled" and what["type"] in ("error", "assert")
        wrong |= method == "Log.entryAdded" and what["entry"]["level"] == "error"
        if wrong:
            self.errors.append(what)

    def open(self, address):
        self.events.clear()
        self.ask("Page.navigate", url=address)
        while "Page.loadEventFired" not in self.events:
            self._next()

    def run(self, script):
        """The value of an expression, awaited, as if a person had clicked."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self.ask("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, selector):
        """With the mouse, in the middle of the first such element."""
        x, y = self.run(f"""(() => {{ const one = document.querySelector("{selector}");
            one.scrollIntoView({{ block: "center" }});
            const {{ left, top, width, height }} = one.getBoundingClientRect();
            return [left + width / 2, top + height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            options = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self.ask("Input.dispatchMouseEvent", type=kind, **options)

    def press(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def close(self):
        os.close(self.to), os.close(self.of)
        self.process.terminate()
        self.process.wait(timeout=20)
