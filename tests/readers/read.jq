# Counts the rows of a bundle with jq: gunzip -c BUNDLE | jq -rn -f read.jq
# Prints one log a line: source, file, rows, and the sum of the rows' "id".
reduce (inputs | select(.source)) as $row ({};
    ([$row.source, $row.file // ($row.source + ".jsonl")] | @tsv) as $name
    | .[$name] |= [(.[0] // 0) + 1, (.[1] // 0) + ($row.entry | if type == "object" then .id // 0 else 0 end)])
| to_entries[] | [.key] + .value | map(tostring) | join("\t")
