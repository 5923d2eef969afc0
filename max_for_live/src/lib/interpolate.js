// Values between known ones: on the lines through warp markers, on a measured curve, between two colours.

/** A place on the straight lines through points, from one of their fields to the other; beyond both ends the lines go on. */
function along(points, from, to, value) {
    let at = 0;
    while (at < points.length - 2 && value >= points[at + 1][from]) {
        at += 1;
    }
    return onLine(points[at], points[at + 1], from, to, value);
}

/** A value on the straight lines through points, whose `from` never falls; beyond the ends, that of the end. -1 for none. */
function between(points, from, to, value) {
    if (!points.length || !isFinite(value)) {
        return -1;
    }
    const above = points.findIndex((point) => point[from] >= value);
    if (above <= 0) {
        return points[above < 0 ? points.length - 1 : 0][to];
    }
    return onLine(points[above - 1], points[above], from, to, value);
}

function onLine(one, other, from, to, value) {
    return one[to] + ((value - one[from]) * (other[to] - one[to])) / (other[from] - one[from]);
}

/** A colour between two, each 0xRRGGBB. */
function mixed(from, to, part) {
    const shade = (shift) => Math.round(((from >> shift) & 255) * (1 - part) + ((to >> shift) & 255) * part) << shift;
    return shade(16) | shade(8) | shade(0);
}

module.exports = { along, between, mixed };
