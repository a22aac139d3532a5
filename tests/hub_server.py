"""A stand-in for the hub: what huggingface_hub needs to make a model's repository, send files there and list them."""

import base64
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKEN = "hf_standin"  # of owner, who may write; others get 401


@contextmanager
def standing_in():
    """Yield (address, repositories: name → {path: bytes}) of a hub on 127.0.0.1; closed at the end."""
    repositories: dict[str, dict[str, bytes]] = {}
    objects: dict[str, bytes] = {}  # large files, by SHA-256

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(200, {})

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
            if path == "/api/whoami-v2":
                return self.answer(200, {"name": "owner", "type": "user"})
            if name not in repositories:
                return self.answer(404, {"error": "Repository not found"}, "RepoNotFound")
            if "/tree/" in path:
                tree = [{"type": "file", "path": file, "size": len(content), "oid": "0" * 40}
                        for file, content in repositories[name].items()]  # fmt: skip
                return self.answer(200, tree)
            siblings = [{"rfilename": file} for file in repositories[name]]
            return self.answer(200, {"id": name, "sha": "0" * 40, "siblings": siblings})

        def do_PUT(self) -> None:
            objects[self.path.rpartition("/")[2]] = self.body()
            self.answer(200, {})

        def do_POST(self) -> None:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.answer(401, {"error": "Invalid credentials"})
            path, body = self.path.partition("?")[0], self.body()
            if path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
                repositories.setdefault(name, {".gitattributes": b""})
                return self.answer(200, {"url": f"{address}/{name}", "id": name})
            if path == "/api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            if path.endswith("/preupload/main"):
                files = [file["path"] for file in json.loads(body)["files"]]
                modes = {file: "lfs" if file.endswith((".safetensors", ".gguf")) else "regular" for file in files}
                found = [{"path": file, "uploadMode": modes[file], "shouldIgnore": False} for file in files]
                return self.answer(200, {"files": found})
            if path.endswith("/info/lfs/objects/batch"):
                asked = json.loads(body)["objects"]
                given = [one | {"actions": {"upload": {"href": f"{address}/put/{one['oid']}"}}} for one in asked]
                return self.answer(200, {"transfer": "basic", "objects": given})
            if path.endswith("/commit/main"):
                name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
                for line in map(json.loads, body.splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        repositories[name][value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        repositories[name][value["path"]] = objects[value["oid"]]
                return self.answer(200, {"commitUrl": f"{address}/{name}/commit/{'0' * 40}", "commitOid": "0" * 40})
            return self.answer(404, {"error": self.path})

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def answer(self, status: int, content: object, code: str = "") -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if code:
                self.send_header("X-Error-Code", code)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address, repositories
    finally:
        server.shutdown()
        server.server_close()
