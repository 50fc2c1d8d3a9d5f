# table.awk: the rows of run.sh (group, what, floor, cpus, unit, beside, its, gabion, all, target; tabs) as an aligned table or, with
# -v format=json, as one JSON object. Ratios are made here, and only where both values are there.

function ratio(value, base)
{
  return value == "-" || base == "-" || base + 0 == 0 ? "-" : sprintf("%.2f", value / base)
}
function string(s)
{
  gsub(/\\/, "\\\\", s)
  gsub(/"/, "\\\"", s)
  return "\"" s "\""
}
function number(s)
{
  return s == "-" ? "null" : s
}
function text_or_null(s)
{
  return s == "-" ? "null" : string(s)
}
function json(   i)
{
  printf "{\"environment\": %s, \"rows\": [", string(environment)
  for (i = 1; i <= n; i++) {
    printf "%s\n  {\"group\": %s, \"what\": %s, \"floor\": %s, \"cpus\": %s, \"unit\": %s, ", (i > 1 ? "," : ""), string(cell[i, 1]),
      string(cell[i, 2]), string(cell[i, 3]), text_or_null(cell[i, 4]), text_or_null(cell[i, 5])
    printf "\"beside\": %s, \"its\": %s, \"gabion\": %s, \"ratio\": %s, \"all\": %s, \"all_ratio\": %s, \"target\": %s}",
      text_or_null(cell[i, 6]), number(cell[i, 7]), number(cell[i, 8]), number(cell[i, 9]), number(cell[i, 10]), number(cell[i, 11]),
      text_or_null(cell[i, 12])
  }
  print "\n]}"
}
function text(   i, k, line)
{
  split("", width)
  for (i = 0; i <= n; i++)
    for (k = 1; k <= 12; k++)
      if (length(cell[i, k]) > width[k])
        width[k] = length(cell[i, k])
  print environment
  for (i = 0; i <= n; i++) {
    if (i <= 1 || cell[i, 1] != cell[i - 1, 1])
      print ""
    line = ""
    for (k = 1; k <= 12; k++)
      line = line sprintf((k >= 7 && k <= 11 ? "%" : "%-") width[k] "s  ", cell[i, k])
    sub(/ +$/, "", line)
    print line
  }
}
BEGIN {
  FS = "\t"
  n = split("group,what,floor,cpus,unit,beside,its,gabion,ratio,all,ratio,target", head, ",")
  for (k = 1; k <= n; k++)
    cell[0, k] = head[k]
  n = 0
}
{
  n++
  for (k = 1; k <= 8; k++)
    cell[n, k] = $k
  cell[n, 9] = ratio($8, $7)
  cell[n, 10] = $9
  cell[n, 11] = ratio($9, $7)
  cell[n, 12] = $10
}
END {
  if (format == "json")
    json()
  else
    text()
}
