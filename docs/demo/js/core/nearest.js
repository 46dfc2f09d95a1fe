/** Edit distance (insert, delete, replace, swap of neighbours each cost 1) between two short strings. */
function editDistance(a, b) {
    const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
    for (let i = 1; i <= a.length; i++) {
        const row = [i];
        for (let j = 1; j <= b.length; j++) {
            const replace = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
            let best = Math.min(replace, rows[i - 1][j] + 1, row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
                best = Math.min(best, rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    return rows[a.length][b.length];
}
/** The known name nearest to a mistyped one, or undefined where none is near (more than half of it differs). */
export function nearestName(name, known) {
    const wanted = name.slice(0, 64).toLowerCase();
    let best;
    let bestDistance = Math.max(2, Math.floor(wanted.length / 2)) + 1;
    for (const candidate of known) {
        const distance = editDistance(wanted, candidate.slice(0, 64).toLowerCase());
        if (distance < bestDistance) {
            best = candidate;
            bestDistance = distance;
        }
    }
    return best;
}
