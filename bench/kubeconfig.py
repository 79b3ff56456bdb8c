"""Signs in to a Guideway API with a kubeconfig as `guideway init` and `guideway demo` write it. Only the standard library."""
import base64
import ssl
import tempfile
from pathlib import Path


def context(path):
    """A TLS context that trusts the kubeconfig's authority and shows its user's certificate."""
    fields = {}
    for line in Path(path).read_text().splitlines():
        name, found, value = line.strip().partition(": ")
        if found and name.endswith("-data"):
            fields[name] = base64.b64decode(value).decode()
    tls = ssl.create_default_context(cadata=fields["certificate-authority-data"])
    # The library loads certificates of its own from files only.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(fields["client-key-data"] + fields["client-certificate-data"])
        pem.flush()
        tls.load_cert_chain(pem.name)
    return tls
