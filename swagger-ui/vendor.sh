#!/bin/sh
# Copies the renderer of public/api.html from npm into public/vendor/: exactly the version whose
# checksum is in package-lock.json. A deployment does so when it is built (`buildCommand` in
# vercel.json). Git ignores the files, because they were not written here.
set -eu
cd "$(dirname "$0")"
# Without install scripts: one of its dependencies would report the installation to its makers.
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
from=node_modules/swagger-ui-dist
to=../public/vendor/swagger-ui
rm -rf "$to"
mkdir -p "$to"
for file in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css LICENSE NOTICE; do
    cp "$from/$file" "$to/"
done
