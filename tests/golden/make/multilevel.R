# Multilevel and multivariate models with metafor's rma.mv: fits, tests, intervals of variances, random effects.
#
#   Rscript multilevel.R ../multilevel.json    computes all tables but those of metafor 5.0-1, which it keeps
#
# `random` and `formula` stand as metapeer writes them; `call` is what R ran. Sampling covariances are stored as the lower
# triangles of their blocks, trial by trial in order of appearance.

suppressMessages({library(metafor); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
tight <- list(rel.tol = 1e-12, x.tol = 1e-10, eval.max = 5000, iter.max = 5000)  # where nlminb then reports success
number <- function(x) if (is.null(x)) NULL else ifelse(is.finite(c(x)), c(x), NA)
triangles <- function(V, cluster) lapply(unique(as.character(cluster)), function(g) {
  own <- V[as.character(cluster) == g, as.character(cluster) == g, drop = FALSE]
  own[lower.tri(own, diag = TRUE)]
})

sets <- list(); fits <- list(); comparisons <- list(); intervals <- list(); effects <- list(); predictions <- list(); walds <- list()
add_set <- function(name, D, columns, V = NULL, cluster = NULL) {
  sets[[name]] <<- c(list(columns = lapply(D[columns], function(x) if (is.factor(x)) as.character(x) else x)),
    if (is.null(V)) NULL else list(cluster = as.character(cluster), V = triangles(as.matrix(V), cluster)))
}

# Fits with tight control; where nlminb then calls a good maximum a failure, with a less tight one.
fit_mv <- function(...) {
  call <- match.call(); call[[1]] <- quote(rma.mv)
  where <- parent.frame()
  for (control in list(quote(tight), quote(list(rel.tol = 1e-11)))) {
    call$control <- control
    found <- tryCatch(eval(call, where), error = function(e) NULL)
    if (!is.null(found)) return(found)
  }
  call$control <- NULL
  eval(call, where)
}
add <- function(name, set, fit, random, formula = "1", struct = NULL, method = "REML", ci_method = "z") {
  message(name)
  reml <- method == "REML"
  fits[[length(fits) + 1]] <<- list(name, set, gsub(" +", " ", paste(deparse(fit$call), collapse = "")), formula, random, struct, method, ci_method,
    c(fit$beta), fit$se, number(fit$ddf), c(fit$zval), c(fit$pval), c(fit$ci.lb), c(fit$ci.ub), fit$QE, fit$QEp, fit$QM, number(fit$QMdf), fit$QMp,
    if (fit$withS) fit$sigma2 else NULL, if (fit$withG) c(fit$tau2) else NULL, if (fit$withG) c(fit$rho) else NULL,
    if (fit$withH) c(fit$gamma2) else NULL, if (fit$withH) c(fit$phi) else NULL,
    c(fitstats(fit, REML = reml))[c(1, 3, 4, 5)])
  invisible(fit)
}
ci <- function(name, set, fit, random, struct, method, formula = "1") {
  # Under tight control nlminb calls some points of the profile failures, and the limit is then missing.
  call <- fit$call; call$control <- NULL
  found <- confint(eval(call, parent.frame()), control = list(tol = 1e-10))
  found <- if (is.null(found$random)) head(found, -1) else list(found)
  for (one in found) if (!is.null(one$random)) intervals[[length(intervals) + 1]] <<- c(list(name, set, formula, random, struct, method,
    rownames(one$random)[1]), as.list(unname(number(one$random[1, ]))))
}
blup <- function(name, set, fit, random, struct, method = "REML", formula = "1", ci_method = "z") {
  found <- ranef(fit)
  effects[[length(effects) + 1]] <<- list(name, set, formula, random, struct, method, ci_method, lapply(found, rownames),
    lapply(found, function(x) x$intrcpt), lapply(found, function(x) x$se), lapply(found, function(x) x$pi.lb), lapply(found, function(x) x$pi.ub))
}
pred <- function(name, set, fit, random, struct, new, found, formula = "1", method = "REML", ci_method = "z") {
  predictions[[length(predictions) + 1]] <<- list(name, set, formula, random, struct, method, ci_method, new, c(found$pred), c(found$se),
    c(found$ci.lb), c(found$ci.ub), number(found$pi.lb), number(found$pi.ub))
}
compare <- function(name, set, first, second, a, b) {
  found <- anova(first, second)
  comparisons[[length(comparisons) + 1]] <<- list(name, set, a, b, found$LRT, found$pval, found$parms.f, found$parms.r)
}
wald <- function(name, set, found, formula, random, struct, method, weights, terms, ci_method = "z")
  walds[[length(walds) + 1]] <<- list(name, set, formula, random, struct, method, ci_method, weights, terms, found$QM, number(found$QMdf), found$QMp)

# Three levels ----------------------------------------------------------------------------------------------------------
D <- dat.konstantopoulos2011; D$y <- D$year - mean(D$year)
add_set("konstantopoulos", D, c("district", "school", "yi", "vi", "y"))
nested <- "~ 1 | district/school"
for (m in c("REML", "ML")) for (test in c("z", "t")) {
  f <- fit_mv(yi, vi, random = ~ 1 | district/school, data = D, method = m, test = test)
  add(paste("nested", m, test), "konstantopoulos", f, nested, method = m, ci_method = test)
  pred(paste("nested", m, test), "konstantopoulos", f, nested, NULL, NULL, predict(f), method = m, ci_method = test)
  f <- fit_mv(yi, vi, mods = ~ y, random = ~ 1 | district/school, data = D, method = m, test = test)
  add(paste("nested year", m, test), "konstantopoulos", f, nested, "y", method = m, ci_method = test)
  pred(paste("nested year", m, test), "konstantopoulos", f, nested, NULL, list(y = c(-10, 0, 5)), predict(f, newmods = c(-10, 0, 5)), formula = "y", method = m, ci_method = test)
}
for (m in c("REML", "ML")) {
  f <- fit_mv(yi, vi, random = ~ school | district, data = D, method = m)
  add(paste("CS of schools", m), "konstantopoulos", f, "~ school | district", struct = "CS", method = m)
  ci(paste("CS of schools", m), "konstantopoulos", f, "~ school | district", "CS", m)
  f <- fit_mv(yi, vi, random = ~ 1 | district/school, data = D, method = m, test = "t", dfs = "contain")
  add(paste("nested", m, "contain"), "konstantopoulos", f, nested, method = m, ci_method = "contain")
  pred(paste("nested", m, "contain"), "konstantopoulos", f, nested, NULL, NULL, predict(f), method = m, ci_method = "contain")
  f <- fit_mv(yi, vi, mods = ~ y, random = ~ 1 | district/school, data = D, method = m, test = "t", dfs = "contain")
  add(paste("nested year", m, "contain"), "konstantopoulos", f, nested, "y", method = m, ci_method = "contain")
}
f <- fit_mv(yi, vi, random = ~ 1 | district/school, data = D)
g <- fit_mv(yi, vi, random = ~ 1 | district, data = D)
h <- fit_mv(yi, vi, random = ~ 1 | district/school, sigma2 = c(0, NA), data = D)
add("district only", "konstantopoulos", g, "~ 1 | district")
blup("nested", "konstantopoulos", f, nested, NULL)
blup("nested year", "konstantopoulos", fit_mv(yi, vi, mods = ~ y, random = ~ 1 | district/school, data = D), nested, NULL, formula = "y")
blup("nested year ML contain", "konstantopoulos", fit_mv(yi, vi, mods = ~ y, random = ~ 1 | district/school, data = D, method = "ML"), nested, NULL, formula = "y", method = "ML")
ci("nested", "konstantopoulos", f, nested, NULL, "REML")
ci("district only", "konstantopoulos", g, "~ 1 | district", NULL, "REML")
ci("nested year", "konstantopoulos", fit_mv(yi, vi, mods = ~ y, random = ~ 1 | district/school, data = D, method = "ML"), nested, NULL, "ML", formula = "y")
model <- function(random, formula = "1", struct = NULL, method = "REML") list(random = random, formula = formula, struct = struct, method = method)
compare("no schools", "konstantopoulos", f, g, model(nested), model("~ 1 | district"))
compare("no districts", "konstantopoulos", f, h, model(nested), model("~ 1 | district+school"))
compare("year", "konstantopoulos", fit_mv(yi, vi, mods = ~ y, random = ~ 1 | district/school, data = D, method = "ML"),
  fit_mv(yi, vi, random = ~ 1 | district/school, data = D, method = "ML"), model(nested, "y", method = "ML"), model(nested, method = "ML"))

D <- dat.assink2016; D$row <- 1:nrow(D)
V <- vcalc(vi, cluster = study, obs = esid, rho = 0.6, data = D)
add_set("assink", D, c("study", "esid", "yi", "vi", "deltype", "year", "pubstatus"))
add_set("assink_V", D, c("study", "esid", "yi", "vi", "deltype", "year", "pubstatus"), V, D$study)
within <- "~ 1 | study/esid"
f <- fit_mv(yi, vi, random = ~ 1 | study/esid, data = D)
add("nested", "assink", f, within); ci("nested", "assink", f, within, NULL, "REML"); blup("nested", "assink", f, within, NULL)
for (test in c("z", "t")) {
  f <- fit_mv(yi, V, mods = ~ deltype + year, random = ~ 1 | study/esid, data = D, test = test)
  add(paste("V deltype year", test), "assink_V", f, within, "deltype + year", ci_method = test)
  wald(paste("V deltype", test), "assink_V", anova(f, btt = 2:3), "deltype + year", within, NULL, "REML", NULL, list("deltype"), ci_method = test)
}
for (m in c("REML", "ML")) {
  f <- fit_mv(yi, V, mods = ~ deltype + year + pubstatus, random = ~ 1 | study/esid, data = D, test = "t", dfs = "contain", method = m)
  add(paste("V contain", m), "assink_V", f, within, "deltype + year + pubstatus", method = m, ci_method = "contain")
}
f <- fit_mv(yi, V, random = ~ 1 | study/esid, data = D)
add("V", "assink_V", f, within); ci("V", "assink_V", f, within, NULL, "REML"); blup("V", "assink_V", f, within, NULL)
compare("V no studies", "assink_V", f, fit_mv(yi, V, random = ~ 1 | study/esid, sigma2 = c(0, NA), data = D), model(within), model("~ 1 | study+esid"))
f <- rma.mv(yi, V, mods = ~ deltype, data = D)
add("V common", "assink_V", f, list(), "deltype")

D <- escalc(measure = "ZCOR", ri = ri, ni = ni, data = dat.crede2010, subset = criterion == "grade")
add_set("crede", D, c("studyid", "sampleid", "yi", "vi"))
for (m in c("REML", "ML")) {
  f <- fit_mv(yi, vi, random = ~ 1 | studyid/sampleid, data = D, method = m)
  add(paste("nested", m), "crede", f, "~ 1 | studyid/sampleid", method = m)
  ci(paste("nested", m), "crede", f, "~ 1 | studyid/sampleid", NULL, m)
}
D <- escalc(measure = "ZCOR", ri = ri, ni = ni, data = dat.crede2010)
add_set("crede_all", D, c("studyid", "sampleid", "criterion", "yi", "vi"))
for (s in c("CS", "HCS", "UN", "DIAG")) {
  f <- fit_mv(yi, vi, mods = ~ 0 + criterion, random = list(~ criterion | studyid, ~ 1 | sampleid), struct = s, data = D)
  add(paste("crossed", s), "crede_all", f, list("~ criterion | studyid", "~ 1 | sampleid"), "0 + criterion", struct = s)
}
f <- fit_mv(yi, vi, random = list(~ 1 | studyid, ~ 1 | sampleid), data = D)
add("crossed", "crede_all", f, list("~ 1 | studyid", "~ 1 | sampleid")); blup("crossed", "crede_all", f, list("~ 1 | studyid", "~ 1 | sampleid"), NULL)
ci("crossed", "crede_all", f, list("~ 1 | studyid", "~ 1 | sampleid"), NULL, "REML")

# Crossed: tasks used by many studies, and studies with many tasks
D <- dat.knapp2017; D$id <- 1:nrow(D)
V <- vcalc(vi, cluster = study, obs = id, rho = 0.4, data = D)
D$difficulty[is.na(D$difficulty)] <- mean(D$difficulty, na.rm = TRUE)
add_set("knapp", D, c("study", "comp", "task", "id", "difficulty", "yi", "vi"), V, D$study)
for (m in c("REML", "ML")) {
  random <- list("~ 1 | study/id", "~ 1 | task")
  f <- fit_mv(yi, V, mods = ~ difficulty, random = list(~ 1 | study/id, ~ 1 | task), data = D, method = m)
  add(paste("crossed tasks", m), "knapp", f, random, "difficulty", method = m)
  f <- fit_mv(yi, V, random = list(~ 1 | study/id, ~ 1 | task), data = D, method = m)
  add(paste("crossed tasks alone", m), "knapp", f, random, method = m)
  blup(paste("crossed tasks", m), "knapp", f, random, NULL, m)
  f <- fit_mv(yi, V, random = ~ task | study, struct = "CS", data = D, method = m)
  add(paste("CS of tasks", m), "knapp", f, "~ task | study", struct = "CS", method = m)
}

# Several outcomes ------------------------------------------------------------------------------------------------------
D <- dat.berkey1998; V <- vcalc(vi = 1, cluster = author, rvars = c(v1i, v2i), data = D); D$yr <- D$year - 1983
add_set("berkey", D, c("trial", "outcome", "yi", "vi", "yr"), V, D$trial)
inner <- "~ outcome | trial"; two <- "0 + outcome"; four <- "0 + outcome + outcome:yr"
for (m in c("REML", "ML")) for (s in c("UN", "CS", "HCS", "DIAG", "ID")) {
  f <- fit_mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | trial, struct = s, data = D, method = m)
  add(paste(s, m), "berkey", f, inner, two, struct = s, method = m)
  ci(paste(s, m), "berkey", f, inner, s, m, formula = two)
  blup(paste(s, m), "berkey", f, inner, s, m, formula = two)
  if (s != "ID" && s != "CS") pred(paste(s, m), "berkey", f, inner, s, list(outcome = c("AL", "PD")),
    {a <- predict(f, newmods = rbind(c(1, 0)), tau2.levels = "AL"); b <- predict(f, newmods = rbind(c(0, 1)), tau2.levels = "PD")
     sapply(c("pred", "se", "ci.lb", "ci.ub", "pi.lb", "pi.ub"), function(x) c(a[[x]], b[[x]]), simplify = FALSE)},
    formula = two, method = m)
  g <- fit_mv(yi, V, mods = ~ 0 + outcome + outcome:yr, random = ~ outcome | trial, struct = s, data = D, method = m)
  add(paste(s, m, "year"), "berkey", g, inner, four, struct = s, method = m)
  if (m == "ML") compare(paste(s, "year"), "berkey", g, f, model(inner, four, s, m), model(inner, two, s, m))
}
f <- fit_mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | trial, struct = "UN", data = D)
g <- fit_mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | trial, struct = "CS", data = D)
compare("UN against CS", "berkey", f, g, model(inner, two, "UN"), model(inner, two, "CS"))
wald("AL less PD", "berkey", anova(f, X = c(1, -1)), two, inner, "UN", "REML", list(outcomeAL = 1, outcomePD = -1), NULL)
f <- fit_mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | trial, struct = "UN", data = D, test = "t", dfs = "contain")
add("UN contain", "berkey", f, inner, two, struct = "UN", ci_method = "contain")
f <- fit_mv(yi, V, mods = ~ 0 + outcome + outcome:yr, random = ~ outcome | trial, struct = "UN", data = D, test = "t", dfs = "contain")
add("UN year contain", "berkey", f, inner, four, struct = "UN", ci_method = "contain")

D <- dat.kalaian1996; V <- vcalc(vi, cluster = study, type = outcome, data = D, rho = 0.66); D$lh <- log(D$hrs + 1)
add_set("kalaian", D, c("study", "outcome", "yi", "vi"), V, D$study)
K <- D[!is.na(D$hrs), ]; VK <- V[!is.na(D$hrs), !is.na(D$hrs)]
add_set("kalaian_hrs", K, c("study", "outcome", "yi", "vi", "lh"), VK, K$study)
for (m in c("REML", "ML")) for (s in c("UN", "CS", "HCS", "DIAG")) {
  f <- fit_mv(yi, V, mods = ~ 0 + outcome, random = ~ outcome | study, struct = s, data = D, method = m)
  add(paste(s, m), "kalaian", f, "~ outcome | study", two, struct = s, method = m)
  f <- fit_mv(yi, VK, mods = ~ 0 + outcome + outcome:lh, random = ~ outcome | study, struct = s, data = K, method = m)
  add(paste(s, m, "hours"), "kalaian_hrs", f, "~ outcome | study", "0 + outcome + outcome:lh", struct = s, method = m)
}

D <- to.long(measure = "OR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
D <- escalc(measure = "PLO", xi = out1, mi = out2, data = D); D$arm <- ifelse(D$group == 1, "EXP", "CON"); D$lat <- D$ablat - 33
add_set("bcg_arms", D, c("trial", "arm", "yi", "vi", "lat"))
for (m in c("REML", "ML")) for (s in c("UN", "HCS")) {
  f <- fit_mv(yi, vi, mods = ~ arm, random = ~ arm | trial, struct = s, data = D, method = m)
  add(paste(s, m), "bcg_arms", f, "~ arm | trial", "arm", struct = s, method = m)
  if (s == "HCS") ci(paste(s, m), "bcg_arms", f, "~ arm | trial", s, m, formula = "arm")
  f <- fit_mv(yi, vi, mods = ~ arm * lat, random = ~ arm | trial, struct = s, data = D, method = m)
  add(paste(s, m, "latitude"), "bcg_arms", f, "~ arm | trial", "arm * lat", struct = s, method = m)
}
D <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
add_set("bcg", D, c("trial", "yi", "vi"))
for (m in c("REML", "ML")) {
  f <- fit_mv(yi, vi, random = ~ 1 | trial, data = D, method = m)
  add(paste("one row each", m), "bcg", f, "~ 1 | trial", method = m); ci(paste("one row each", m), "bcg", f, "~ 1 | trial", NULL, m)
  pred(paste("one row each", m), "bcg", f, "~ 1 | trial", NULL, NULL, predict(f), method = m)
}

# Several times ---------------------------------------------------------------------------------------------------------
D <- reshape(dat.ishak2007, direction = "long", idvar = "study", v.names = c("yi", "vi"), varying = list(c(2, 4, 6, 8), c(3, 5, 7, 9)))
D <- D[order(D$study, D$time), ]; D <- D[!is.na(D$yi), ]
V <- vcalc(vi, cluster = study, time1 = time, phi = 0.97, data = D)
add_set("ishak", D, c("study", "time", "yi", "vi"), V, D$study)
for (s in c("AR", "HAR", "CAR", "CS", "HCS", "UN", "DIAG", "ID")) {
  f <- fit_mv(yi, V, mods = ~ 0 + factor(time), random = ~ time | study, struct = s, data = D)
  add(s, "ishak", f, "~ time | study", "0 + C(time)", struct = s)
  blup(s, "ishak", f, "~ time | study", s, formula = "0 + C(time)")
  if (s %in% c("AR", "HCS")) ci(s, "ishak", f, "~ time | study", s, "REML", formula = "0 + C(time)")
}

# Arms of a network: a random effect of every arm, and a coefficient of every trial
D <- dat.senn2013; D$yi <- D$mi; D$vi <- D$sdi^2 / D$ni
add_set("senn", D, c("study", "treatment", "yi", "vi"))
D$treatment <- relevel(factor(D$treatment), ref = "placebo")
f <- fit_mv(yi, vi, mods = ~ 0 + study + treatment, random = ~ 1 | study/treatment, sigma2 = c(0, NA), data = D)
add("arms", "senn", f, "~ 1 | study+treatment", "0 + study + treatment")
f <- rma.mv(yi, vi, mods = ~ 0 + study + treatment, data = D)
add("arms common", "senn", f, list(), "0 + study + treatment")

source <- list(call = "tests/golden/make/multilevel.R", R = R.version.string, control = "rel.tol=1e-12, x.tol=1e-10, eval.max=5000, iter.max=5000; confint: tol=1e-10",
  packages = list(metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat"))))
model_columns <- c("formula", "random", "struct", "method")
line <- function(x, digits = 15) toJSON(x, digits = I(digits), auto_unbox = TRUE, na = "null", null = "null")
table_of <- function(rows, columns, about = NULL) paste0("{", about, '"columns":', line(columns), ',"rows":[\n', paste(vapply(rows, line, ""), collapse = ",\n"), "\n]}")
tables <- list(
  fits = table_of(fits, c("name", "set", "call", model_columns, "ci_method", "beta", "se", "df", "statistic", "p_value", "ci_low", "ci_high", "QE", "QE_p", "QM", "QM_df", "QM_p", "sigma2", "tau2", "rho", "gamma2", "phi", "criteria")),
  comparisons = table_of(comparisons, c("name", "set", "full", "reduced", "LRT", "p_value", "parameters_full", "parameters_reduced")),
  intervals = table_of(intervals, c("name", "set", model_columns, "component", "estimate", "ci_low", "ci_high")),
  effects = table_of(effects, c("name", "set", model_columns, "ci_method", "groups", "estimate", "se", "pi_low", "pi_high")),
  predictions = table_of(predictions, c("name", "set", model_columns, "ci_method", "new", "estimate", "se", "ci_low", "ci_high", "pi_low", "pi_high")),
  walds = table_of(walds, c("name", "set", model_columns, "ci_method", "weights", "terms", "statistic", "df", "p_value")))
for (name in c("fits_metafor_5", "I2_metafor_5")) if (file.exists(args[1])) {
  kept <- fromJSON(args[1], simplifyVector = FALSE)[[name]]
  if (!is.null(kept)) tables[[name]] <- table_of(kept$rows, kept$columns, if (is.null(kept$source)) NULL else paste0('"source":', line(kept$source), ","))
}
stored <- paste0('"', names(sets), '":', vapply(sets, line, "", digits = 15), collapse = ",\n")
writeLines(paste0('{"source":', line(source), ',\n"sets":{\n', stored, "\n},\n", paste0('"', names(tables), '":', unlist(tables), collapse = ",\n"), "\n}"), args[1])
