# Cluster-robust inference with clubSandwich and metafor::robust, for the working models of rma.mv and rma.uni.
#
#   Rscript robust.R ../robust.json    computes and stores the tables
#
# Sets carry the effects, the design, the clusters and the components of the marginal covariance as R estimated them:
# Phi = diag(vi + within) + between (within a cluster) + sampling covariances, so that the tests fit no model.

suppressMessages({library(metafor); library(clubSandwich); library(robumeta); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
tight <- list(rel.tol = 1e-12, x.tol = 1e-10, eval.max = 5000, iter.max = 5000)  # where nlminb then reports success
number <- function(x) ifelse(is.finite(x), x, NA)

# Lower triangles of the blocks of Phi, cluster by cluster in order of appearance.
triangles <- function(M, cluster) lapply(unique(as.character(cluster)), function(g) {
  own <- M[as.character(cluster) == g, as.character(cluster) == g, drop = FALSE]
  own[lower.tri(own, diag = TRUE)]
})

sets <- list(); coefs <- list(); walds <- list(); robusts <- list()
add <- function(name, fit, cluster, M, q, components = NULL) {
  message(name)
  cluster <- as.character(cluster)
  W <- if (is.null(fit$W)) NULL else diag(as.matrix(fit$W))
  if (inherits(fit, "rma.uni") && !is.null(fit$weights)) W <- fit$weights
  sets[[name]] <<- c(list(call = gsub(" +", " ", paste(deparse(fit$call), collapse = "")), yi = c(fit$yi), X = unname(fit$X), names = rownames(fit$beta), cluster = cluster),
    if (is.null(components)) list(Phi = triangles(M, cluster)) else components, if (is.null(W)) NULL else list(weights = W))
  p <- fit$p
  # Study 16 of assink2016 alone has effects on general delinquency, so that CR3 divides by zero.
  for (type in c("CR0", "CR1", "CR1p", "CR1S", "CR2", if (!grepl("assink_", name)) "CR3")) {
    V <- vcovCR(fit, cluster = cluster, type = type)
    for (test in c("Satterthwaite", "naive-t", "naive-tp", "z")) {
      if (test != "Satterthwaite" && type != "CR1") next
      found <- coef_test(fit, vcov = V, test = test)
      df <- found[[grep("^df", names(found))]]
      coefs[[length(coefs) + 1]] <<- list(name, type, test, found$beta, found$SE, found$tstat, number(df), found[[grep("^p_", names(found))]])
    }
    if (p > 1) for (test in c("HTZ", "Naive-F", "Naive-Fp", "chi-sq")) {
      if (test != "HTZ" && type != "CR2") next
      found <- Wald_test(fit, constraints = constrain_zero(q), vcov = V, test = test)
      walds[[length(walds) + 1]] <<- list(name, type, sub("Naive", "naive", test), q, found$Fstat, found$df_num, number(found$df_denom), number(found$p_val))
    }
  }
  for (adjust in c(TRUE, FALSE)) {
    found <- robust(fit, cluster = cluster, adjust = adjust)
    robusts[[length(robusts) + 1]] <<- list(name, adjust, c(found$beta), found$se, found$zval, found$dfs, found$pval, found$ci.lb, found$ci.ub, found$QM, found$QMp)
  }
}
simple <- function(fit, rho = 0) {
  s <- fit$sigma2
  list(vi = c(fit$vi), between = s[1], within = if (length(s) > 1) s[2] else 0, rho = rho)
}

D <- dat.konstantopoulos2011
add("konstantopoulos", f <- rma.mv(yi, vi, random = ~ 1 | district/school, data = D, control = tight), D$district, NULL, 1, simple(f))
add("konstantopoulos_year", f <- rma.mv(yi, vi, mods = ~ I(year - mean(year)), random = ~ 1 | district/school, data = D, control = tight), D$district, NULL, 2, simple(f))
add("konstantopoulos_year_far", f <- rma.mv(yi, vi, mods = ~ year, random = ~ 1 | district/school, data = D, sigma2 = f$sigma2), D$district, NULL, 2, simple(f))
D <- dat.assink2016
add("assink", f <- rma.mv(yi, vi, random = ~ 1 | study/esid, data = D), D$study, NULL, 1, simple(f))
add("assink_del", f <- rma.mv(yi, vi, mods = ~ deltype + pubstatus, random = ~ 1 | study/esid, data = D), D$study, NULL, 2:3, simple(f))
V <- impute_covariance_matrix(D$vi, cluster = D$study, r = 0.6)
add("assink_che", f <- rma.mv(yi, V, mods = ~ deltype + year, random = ~ 1 | study/esid, data = D), D$study, NULL, 2:4, simple(f, 0.6))
D <- dat.crede2010[dat.crede2010$criterion == "grade", ]
D <- escalc(measure = "ZCOR", ri = ri, ni = ni, data = D)
D <- D[!is.na(D$yi), ]
add("crede", f <- rma.mv(yi, vi, random = ~ 1 | studyid/sampleid, data = D), D$studyid, NULL, 1, simple(f))
D <- dat.berkey1998
V <- bldiag(lapply(split(D[, c("v1i", "v2i")], D$trial), as.matrix))
f <- rma.mv(yi, V, mods = ~ outcome - 1, random = ~ outcome | trial, struct = "UN", data = D)
add("berkey", f, D$trial, f$M, 1:2)
D <- dat.knapp2017[!is.na(dat.knapp2017$difficulty), ]
V <- matrix(0, nrow(D), nrow(D)); diag(V) <- D$vi
for (i in 1:nrow(D)) for (j in 1:nrow(D)) if (i != j && D$study[i] == D$study[j]) {
  shared <- D$group1[i] == D$group1[j] || D$group2[i] == D$group2[j]
  V[i, j] <- (if (D$task[i] == D$task[j]) 0.5 else if (shared) 0.3 else 0.2) * sqrt(D$vi[i] * D$vi[j])
}
f <- rma.mv(yi, V, mods = ~ I(difficulty - 4), random = ~ 1 | study/comp, data = D)
add("knapp", f, D$study, f$M, 1:2)
# Weights that are not the inverse of the covariance: equal, and those of a common effect.
D <- dat.assink2016
f <- rma(yi, vi, mods = ~ deltype, data = D, method = "DL", weights = 1 / vi)
add("assink_common_weights", f, D$study, NULL, 2:3, list(vi = c(f$vi), between = 0, within = f$tau2, rho = 0))
D <- dat.konstantopoulos2011
f <- rma(yi, vi, mods = ~ I(year - 1990), data = D, method = "DL", weights = rep(1, nrow(D)))
add("konstantopoulos_equal_weights", f, D$district, NULL, 2, list(vi = c(f$vi), between = 0, within = f$tau2, rho = 0))
# Every row its own cluster.
D <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
f <- rma(yi, vi, mods = ~ ablat + alloc, data = D, method = "DL")
add("bcg", f, seq_len(nrow(D)), NULL, 2:4, list(vi = c(f$vi), between = 0, within = f$tau2, rho = 0))

# robumeta, on tables as they are.
tables <- list(); robus <- list()
rve <- function(set, data, formula, columns, study) {
  D <- data[, columns, drop = FALSE]
  tables[[set]] <<- c(lapply(D, function(x) if (is.factor(x)) as.character(x) else unname(c(x))), list(study_id = as.character(data[[study]]), yi = c(data$yi), vi = c(data$vi)))
  D$study <- data[[study]]; D$yi <- c(data$yi); D$vi <- c(data$vi)
  for (model in c("CORR", "HIER")) for (small in c(TRUE, FALSE)) for (rho in if (model == "CORR") c(0, 0.5, 0.8, 1) else 0.8) {
    r <- robu(formula, data = D, studynum = study, var.eff.size = vi, modelweights = model, rho = rho, small = small)
    t <- r$reg_table
    robus[[length(robus) + 1]] <<- list(set, paste(deparse(formula[[3]]), collapse = ""), model, small, rho, c(t$b.r), t$SE, t$t, t$dfs, t$prob, t$CI.L, t$CI.U,
      c(r$mod_info$tau.sq), if (is.null(r$mod_info$omega.sq)) NA else c(r$mod_info$omega.sq), if (is.null(r$mod_info$I.2)) NA else c(r$mod_info$I.2))
  }
}
rve("assink", dat.assink2016, yi ~ 1, "year", "study")
rve("assink", dat.assink2016, yi ~ year, "year", "study")
rve("konstantopoulos", dat.konstantopoulos2011, yi ~ 1, "year", "district")
rve("konstantopoulos", dat.konstantopoulos2011, yi ~ year, "year", "district")
rve("kalaian", dat.kalaian1996, yi ~ outcome + log(hrs + 1), c("outcome", "hrs"), "study")

table <- function(columns, rows) list(columns = columns, rows = rows)
golden <- list(
  source = list(R = R.version.string, metafor = as.character(packageVersion("metafor")), clubSandwich = as.character(packageVersion("clubSandwich")), robumeta = as.character(packageVersion("robumeta")), metadat = as.character(packageVersion("metadat")),
    call = list(coefficients = "clubSandwich::coef_test(fit, vcov, cluster, test)", wald = "clubSandwich::Wald_test(fit, constrain_zero(tested), vcov, cluster, test); statistic of chi-sq is divided by its df", robust = "metafor::robust(fit, cluster, adjust)", robumeta = "robumeta::robu(formula, studynum, var.eff.size, modelweights, rho, small)"),
    control = "rel.tol=1e-12, x.tol=1e-10 (rma.mv); the sets carry the variance components"),
  sets = sets,
  coefficients = table(c("set", "vcov", "test", "beta", "se", "statistic", "df", "p"), coefs),
  wald = table(c("set", "vcov", "test", "tested", "statistic", "df1", "df2", "p"), walds),
  robust = table(c("set", "adjust", "beta", "se", "statistic", "df", "p", "ci_low", "ci_high", "QM", "QM_p"), robusts),
  tables = tables,
  robumeta = table(c("set", "formula", "model", "small", "rho", "beta", "se", "statistic", "df", "p", "ci_low", "ci_high", "tau2", "omega2", "I2"), robus))
text <- toJSON(golden, digits = NA, auto_unbox = TRUE, na = "null", null = "null", matrix = "rowmajor")
text <- gsub('("(sets|coefficients|wald|robust|tables|robumeta|source)":)', "\n\\1", text)
writeLines(gsub("],[[]\"", "],\n[\"", text), args[1])
