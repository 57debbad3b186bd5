#!/bin/sh
# Makes dist/, which a deployment publishes, out of public/, which is never changed: the same files,
# but the widget's modules lie in a folder that is named after what is in them, so that browsers may
# keep them for good and never mix two versions. Without arguments; a second run makes the same again.
set -eu
cd "$(dirname "$0")"
# The order of names must not depend on who builds.
export LC_ALL=C

fail() {
    echo "dist.sh: $*" >&2
    exit 1
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

loader=public/widget.js
[ -f "$loader" ] || fail "there is no $loader"
[ "$(grep -c "^ *const VERSION = 'dev';\$" "$loader")" = 1 ] ||
    fail "$loader needs exactly one line that is: const VERSION = 'dev';"

for file in public/widget/dev/*; do
    [ -f "$file" ] || fail "$file is not a file: the version would not be of all that is in the folder"
done
version=$(
    for file in "$loader" public/widget/dev/*; do
        printf '%s\n' "$file"
        cat "$file"
    done | sha256 | cut -c 1-12
)

rm -rf dist
cp -R public dist
mv dist/widget/dev "dist/widget/$version"
sed "s/^\( *\)const VERSION = 'dev';\$/\1const VERSION = '$version';/" "$loader" >dist/widget.js
# Pages that use a module without the loader.
for file in dist/*.html dist/*.js; do
    if grep -q widget/dev/ "$file"; then
        sed "s|widget/dev/|widget/$version/|g" "$file" >dist/.new
        mv dist/.new "$file"
    fi
done

# A module names the version of a library by its folder.
for folder in $(grep -oh 'vendor/temml-[0-9.]*' "dist/widget/$version"/* | sort -u); do
    [ -d "dist/$folder" ] || fail "a module names $folder/, which temml/vendor.sh has not made"
done
