# SPDX-License-Identifier: Apache-2.0
"""nginx with two workers in the foreground, and a site of a small and a large file, all in the test's directory."""
import os

import ckpt

SMALL = b"a small file\n"
LARGE_BYTES = 32 << 20
CONFIGURATION = """
daemon off;
worker_processes 2;
user root;
pid {d}/nginx.pid;
error_log {d}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;
  uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
  keepalive_timeout 600s; keepalive_requests 100000; send_timeout 600s;
  sendfile on; tcp_nopush on;
  server {{ {listen} root {d}/www; }}
}}
"""


def prepare(listen):
    """`listen`: the directives, where {d} is the directory. The words that start it, and the large file's bytes."""
    directory = ckpt.DIRECTORY
    program = ckpt.need("nginx")
    large = os.urandom(LARGE_BYTES)
    os.makedirs(directory + "/www")
    for name, data in (("large", large), ("small", SMALL)):
        with open(f"{directory}/www/{name}", "wb") as file:
            file.write(data)
    with open(directory + "/nginx.conf", "w") as file:
        file.write(CONFIGURATION.format(d=directory, listen=listen.format(d=directory)))
    return [program, "-p", directory, "-c", directory + "/nginx.conf", "-e", directory + "/error.log"], large


def check_errors():
    errors = ckpt.read(os.path.join(ckpt.DIRECTORY, "error.log"))
    if errors:
        ckpt.fail(errors)
