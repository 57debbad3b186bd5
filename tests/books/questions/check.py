"""Check the question sets against the built HTML (standard library only).

python3 check.py [postgresql html folder] [rust book folder]
"""
import collections, html, json, os, re, sys

HERE = os.path.dirname(os.path.abspath(__file__))
roots = (sys.argv[1:] + ["/usr/share/doc/postgresql-doc-15/html",
                         "/usr/share/doc/rust-doc/html/book"][len(sys.argv) - 1:])
KINDS = {"exact": 10, "explain": 8, "paraphrase": 10, "typo": 6, "several": 6}
errors = 0


def fail(*what):
    global errors
    errors += 1
    print("WRONG", *what)


for name, root in zip(("postgresql", "rust"), roots):
    rows = [json.loads(l) for l in open(f"{HERE}/{name}.jsonl", encoding="utf-8")]
    anchors = {}
    urls = 0
    pages = set()
    for n, row in enumerate(rows, 1):
        if set(row) - {"question", "urls", "kind", "page"} or not row["question"].strip():
            fail(name, n, "fields")
        if not row["urls"] or len(set(row["urls"])) != len(row["urls"]):
            fail(name, n, "no urls, or one twice")
        for url in row["urls"] + ([row["page"]] if "page" in row else []):
            path, _, fragment = url.partition("#")
            if path not in anchors:
                try:
                    text = open(f"{root}/{path}", encoding="utf-8").read()
                    tags = re.findall(r"<[a-zA-Z][^>]*>", text)
                    anchors[path] = collections.Counter(
                        html.unescape(v) for t in tags
                        for v in set(re.findall(r'\s(?:id|name)="([^"]*)"', t)))
                except OSError:
                    anchors[path] = None
            if anchors[path] is None:
                fail(name, n, "no file", path)
            elif fragment and anchors[path][fragment] != 1:
                fail(name, n, "fragment found", anchors[path][fragment], "times", url)
        urls += len(row["urls"])
        pages |= {u.partition("#")[0] for u in row["urls"]}
    kinds = collections.Counter(r["kind"] for r in rows)
    if kinds != KINDS:
        fail(name, "kinds", dict(kinds))
    if len({r["question"] for r in rows}) != len(rows):
        fail(name, "a question twice")
    here = [r for r in rows if "page" in r]
    right = sum(any(u.partition("#")[0] == r["page"] for u in r["urls"]) for r in here)
    print(f"{name}: {len(rows)} questions {dict(kinds)}, {urls} urls on {len(pages)} pages, "
          f"{len(here)} with a reader's page ({right} of them an answer's page)")
print("wrong:", errors)
sys.exit(errors > 0)
