# Influence in meta-regressions and in multilevel models, and residuals with Hartung-Knapp tests; prints JSON lines for
# tests/golden/influence.json.
# Rscript influence.R
suppressMessages(library(metafor))
number <- function(x) {
  shown <- formatC(as.numeric(x), digits = 17, format = "g")
  paste0("[", paste(ifelse(is.na(as.numeric(x)), "null", shown), collapse = ","), "]")
}
text <- function(x) paste0("[", paste0('"', x, '"', collapse = ","), "]")
control <- list(threshold = 1e-11, maxiter = 10000)

D <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
D$alloc <- as.character(D$alloc)
for (formula in c("~ ablat", "~ ablat + year", "~ alloc")) for (method in c("EE", "DL", "REML")) for (test in c("z", "knha")) {
  if (method == "EE" && test == "knha") next
  fit <- rma(yi, vi, mods = as.formula(formula), data = D, method = method, test = test,
             control = if (method == "REML") control else list())
  found <- influence(fit)
  inf <- found$inf
  own <- if (method == "EE") NULL else blup(fit)
  pdf(NULL); points <- baujat(fit); invisible(dev.off())
  cat(sprintf('{"table":"regression","formula":"%s","method":"%s","test":"%s","yi":%s,"vi":%s,"ablat":%s,"year":%s,"alloc":%s,"rstandard":%s,"rstudent":%s,"dffits":%s,"cook_d":%s,"cov_r":%s,"tau2_del":%s,"QE_del":%s,"hat":%s,"weight":%s,"dfbetas":[%s],"baujat_x":%s,"baujat_y":%s,"influential":%s,"blup":%s,"blup_se":%s}\n',
    formula, method, test, number(D$yi), number(D$vi), number(D$ablat), number(D$year), text(D$alloc),
    number(rstandard(fit)$z), number(rstudent(fit)$z), number(inf$dffits), number(inf$cook.d), number(inf$cov.r),
    number(inf$tau2.del), number(inf$QE.del), number(inf$hat), number(inf$weight),
    paste(sapply(seq_len(fit$p), function(j) number(found$dfbs[[j]])), collapse = ","), number(points$x), number(points$y),
    number(as.numeric(found$is.infl)), if (is.null(own)) "null" else number(own$pred), if (is.null(own)) "null" else number(own$se)))
}

for (method in c("DL", "REML")) {
  fit <- rma(yi, vi, data = D, method = method, test = "knha", control = if (method == "REML") control else list())
  own <- blup(fit)
  cat(sprintf('{"table":"knha","method":"%s","rstudent":%s,"rstandard":%s,"blup":%s,"blup_low":%s,"blup_high":%s}\n', method,
    number(rstudent(fit)$z), number(rstandard(fit)$z), number(own$pred), number(own$pi.lb), number(own$pi.ub)))
}

K <- dat.konstantopoulos2011
tight <- list(rel.tol = 1e-12, x.tol = 1e-10, eval.max = 5000, iter.max = 5000)
for (mods in c("~ 1", "~ I(year - 1990)")) {
  fit <- rma.mv(yi, vi, mods = as.formula(mods), random = ~ 1 | district/school, data = K, control = tight)
  group <- K$district
  cook <- cooks.distance(fit, cluster = group)
  change <- dfbetas(fit, cluster = group)
  gap <- rstudent(fit, cluster = group)$cluster
  cat(sprintf('{"table":"multilevel","mods":"%s","yi":%s,"vi":%s,"district":%s,"school":%s,"year":%s,"clusters":%s,"cook_d":%s,"dfbetas":[%s],"x2_clusters":%s,"x2":%s}\n',
    mods, number(K$yi), number(K$vi), number(K$district), number(K$school), number(K$year), text(names(cook)),
    number(cook), paste(sapply(change, number), collapse = ","), text(gap$slab), number(gap$X2)))
}
