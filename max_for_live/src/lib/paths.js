// Paths as Max, macOS, Windows and Linux write them, and which files are there.

function onWindows(path) {
    return /^[A-Za-z]:[/\\]/.test(path) || /^\\\\/.test(path);
}

function isAbsolute(path) {
    return typeof path === "string" && path.length < 4097 && (path.charAt(0) === "/" || onWindows(path));
}

/** Max's form of a path (`Macintosh HD:/Users/…`, `C:/…`) as the system and the daemon write it. */
function systemPath(path) {
    const found = /^([^/\\]{2,}?):(\/.*)$/.exec(path);
    if (!found) {
        return path;
    }
    const onBootVolume = /^\/(Users|Applications|Library|Volumes|private|tmp|var|opt|usr|home)(\/|$)/.test(found[2]);
    return onBootVolume ? found[2] : `/Volumes/${found[1]}${found[2]}`;
}

/** A path as Max's own objects take it: with slashes, on Windows too. */
function maxPath(path) {
    return onWindows(path) ? path.replace(/\\/g, "/") : path;
}

/** A file's address, as Max's browser opens it. */
function fileUrl(path) {
    return (onWindows(path) ? "file:///" : "file://") + encodeURI(maxPath(path));
}

function samePath(one, other) {
    const plain = (path) => maxPath(systemPath(path)).normalize("NFC");
    return onWindows(one) ? plain(one).toLowerCase() === plain(other).toLowerCase() : plain(one) === plain(other);
}

function fileName(path) {
    return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

function stem(path) {
    return fileName(path).replace(/\.[^.]*$/, "");
}

function folderOf(path) {
    return path.slice(0, Math.max(0, path.lastIndexOf("/"), path.lastIndexOf("\\")));
}

function joined(folder, name) {
    const cut = folder.replace(/[/\\]+$/, "");
    return cut + (cut.includes("\\") ? "\\" : "/") + name;
}

/** The bytes that a file has; -1 where there is none. */
function sizeOf(path) {
    const file = new File(maxPath(path), "read");
    const size = file.isopen ? file.eof : -1;
    if (file.isopen) {
        file.close();
    }
    return size;
}

function exists(path) {
    return sizeOf(path) >= 0;
}

module.exports = { onWindows, isAbsolute, systemPath, maxPath, fileUrl, samePath, fileName, stem, folderOf, joined, sizeOf, exists };
