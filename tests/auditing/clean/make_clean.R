# Real tables with raw numbers, for the audit to leave alone: data sets of R's metadat (the numbers are facts from the
# papers that its help pages cite), with effects as printed there or as metafor computes them.
# Run in this directory: Rscript make_clean.R
suppressMessages({library(metadat); library(metafor); library(jsonlite)})
versions <- paste0("R ", getRversion(), ", metadat ", packageVersion("metadat"), ", metafor ", packageVersion("metafor"))
write_set <- function(name, rows, how, call, digits = NA) {
  text <- lapply(rows, function(x) if (is.numeric(x)) ifelse(is.na(x), "", format(x, digits = 15, trim = TRUE, scientific = FALSE, drop0trailing = TRUE)) else as.character(x))
  for (column in names(rows)) if (is.numeric(rows[[column]]))
    text[[column]] <- vapply(rows[[column]], function(v) if (is.na(v)) "" else format(v, digits = 15, scientific = FALSE, trim = TRUE), "")
  if (!is.na(digits)) for (column in intersect(c("yi", "vi", "sei"), names(rows)))
    text[[column]] <- ifelse(is.na(rows[[column]]), "", formatC(rows[[column]], digits = digits, format = "f"))
  out <- list(source = list(data = paste0("metadat::", name), effects = how, call = call, versions = versions), columns = text)
  write(toJSON(out, auto_unbox = FALSE, pretty = FALSE), file.path(paste0(sub("dat.", "", name, fixed = TRUE), "_", how, ".json")))
}
means <- function(d, study, n1, m1, s1, n2, m2, s2)
  data.frame(study = as.character(study), n1i = n1, m1i = m1, sd1i = s1, n2i = n2, m2i = m2, sd2i = s2)
events <- function(study, e1, t1, e2, t2)
  data.frame(study = as.character(study), events1 = e1, total1 = t1, events2 = e2, total2 = t2)
add <- function(rows, measure, ...) {
  es <- if ("m1i" %in% names(rows))
    escalc(measure, n1i = rows$n1i, m1i = rows$m1i, sd1i = rows$sd1i, n2i = rows$n2i, m2i = rows$m2i, sd2i = rows$sd2i, ...)
  else escalc(measure, ai = rows$events1, n1i = rows$total1, ci = rows$events2, n2i = rows$total2, ...)
  rows$yi <- as.numeric(es$yi); rows$vi <- as.numeric(es$vi); rows
}
d <- dat.normand1999; x <- means(d, d$study, d$n1i, d$m1i, d$sd1i, d$n2i, d$m2i, d$sd2i)
write_set("dat.normand1999", add(x, "SMD"), "SMD", "escalc('SMD')")
write_set("dat.normand1999", add(x, "MD"), "MD_3", "escalc('MD'), 3 decimals", 3)
d <- dat.gibson2002; x <- means(d, d$author, d$n1i, d$m1i, d$sd1i, d$n2i, d$m2i, d$sd2i)
write_set("dat.gibson2002", add(x, "SMD", vtype = "UB"), "SMD_UB_4", "escalc('SMD', vtype='UB'), 4 decimals", 4)
d <- dat.curtis1998; x <- means(d, d$paper, d$n1i, d$m1i, d$sd1i, d$n2i, d$m2i, d$sd2i)
write_set("dat.curtis1998", add(x, "ROM"), "ROM", "escalc('ROM')")
write_set("dat.curtis1998", add(x, "SMD"), "SMD_2", "escalc('SMD'), 2 decimals", 2)
d <- dat.bcg; x <- events(d$author, d$tpos, d$tpos + d$tneg, d$cpos, d$cpos + d$cneg)
write_set("dat.bcg", add(x, "RR"), "RR", "escalc('RR')")
write_set("dat.bcg", add(x, "OR"), "OR_2", "escalc('OR'), 2 decimals", 2)
d <- dat.li2007; write_set("dat.li2007", add(events(d$study, d$ai, d$n1i, d$ci, d$n2i), "OR"), "OR_4", "escalc('OR'), 4 decimals", 4)
d <- dat.nielweise2007; write_set("dat.nielweise2007", add(events(d$author, d$ai, d$n1i, d$ci, d$n2i), "OR"), "OR", "escalc('OR'), zero cells")
d <- dat.linde2005; write_set("dat.linde2005", add(events(d$study, d$ai, d$n1i, d$ci, d$n2i), "RR"), "RR_3", "escalc('RR'), 3 decimals", 3)
d <- dat.yusuf1985; d <- d[!is.na(d$ai), ]
write_set("dat.yusuf1985", add(events(d$trial, d$ai, d$n1i, d$ci, d$n2i), "PETO"), "PETO", "escalc('PETO')")
d <- dat.hine1989; write_set("dat.hine1989", add(events(d$source, d$ai, d$n1i, d$ci, d$n2i), "RD"), "RD", "escalc('RD')")
# Effects as the data sets print them.
d <- dat.lehmann2018; x <- means(d, d$Short_Title, d$Red_N, d$Red_M, d$Red_SD, d$Control_N, d$Control_M, d$Control_SD)
x$yi <- d$yi; x$vi <- d$vi; write_set("dat.lehmann2018", x, "printed", "as in the data set")
d <- dat.michael2013; x <- means(d, d$Study, d$Brain_n, d$Brain_m, d$Brain_s, d$No_brain_n, d$No_brain_m, d$No_brain_s)
x$yi <- d$yi; x$vi <- d$vi; write_set("dat.michael2013", x, "printed", "as in the data set")
d <- dat.raudenbush1985; write_set("dat.raudenbush1985", data.frame(study = as.character(d$author), n1i = d$n1i, n2i = d$n2i, yi = as.numeric(d$yi), vi = as.numeric(d$vi)), "printed", "as in the data set")
d <- dat.kalaian1996; write_set("dat.kalaian1996", data.frame(study = as.character(d$study), n1i = d$n1i, n2i = d$n2i, yi = as.numeric(d$yi), vi = as.numeric(d$vi)), "printed", "as in the data set")
d <- dat.hackshaw1998; write_set("dat.hackshaw1998", data.frame(study = as.character(d$author), es = d$or, es_ci_low = d$or.lb, es_ci_high = d$or.ub), "printed", "as in the data set")
