# Covariance matrices of sampling errors by metafor's vcalc, averages by aggregate.escalc, and the examples of Gleser &
# Olkin (2009) as metafor's own analysis page works them.
#
#   Rscript covariance.R ../covariance.json

suppressMessages({library(metafor); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
control <- list(rel.tol = 1e-12, x.tol = 1e-10, eval.max = 5000, iter.max = 5000)

lower <- function(V) unname(V[lower.tri(V, diag = TRUE)])  # by columns
case <- function(call, data, V, ...) {
  pos <- which(V != 0 & lower.tri(V, diag = TRUE), arr.ind = TRUE)
  list(call = call, data = as.list(data), row = pos[, 1] - 1, column = pos[, 2] - 1, value = V[pos], ...)
}
cases <- list()

d <- dat.assink2016
cols <- d[c("study", "esid", "yi", "vi", "deltype")]
cases$assink_obs <- case("vcalc(vi, cluster=study, obs=esid, rho=0.6)", cols,
  vcalc(vi, cluster = study, obs = esid, data = d, rho = 0.6))
cases$assink_type <- case("vcalc(vi, cluster=study, type=deltype, obs=esid, rho=c(0.7, 0.5))", cols,
  vcalc(vi, cluster = study, type = deltype, obs = esid, data = d, rho = c(0.7, 0.5)))
levels <- unique(d$deltype)
R <- matrix(c(1, .3, .4, .3, 1, .5, .4, .5, 1), 3, dimnames = list(levels, levels))
cases$assink_type_matrix <- case("vcalc(vi, cluster=study, type=deltype, obs=esid, rho=list(0.7, R))", cols,
  vcalc(vi, cluster = study, type = deltype, obs = esid, data = d, rho = list(0.7, R)), R = R, levels = levels)
# no time in the data: a made-up one, so that outcome, type and time meet
d$time <- 3 * ((d$id - 1) %% 4)
cols$time <- d$time
cases$assink_time <- case("vcalc(vi, cluster=study, type=deltype, obs=esid, time1=time, rho=c(0.7, 0.5), phi=0.95)", cols,
  vcalc(vi, cluster = study, type = deltype, obs = esid, time1 = time, data = d, rho = c(0.7, 0.5), phi = 0.95))
d$half <- ifelse(d$id %% 2 == 0, "even", "odd")
cols$half <- d$half
cases$assink_subgroup <- case("vcalc(vi, cluster=study, subgroup=half, obs=esid, rho=0.6)", cols,
  vcalc(vi, cluster = study, subgroup = half, obs = esid, data = d, rho = 0.6))

d <- dat.ishak2007
d <- reshape(d, direction = "long", idvar = "study", v.names = c("yi", "vi"),
             varying = list(c(2, 4, 6, 8), c(3, 5, 7, 9)))
d <- d[order(d$study, d$time), ]
d <- d[!is.na(d$yi), ]
cases$ishak <- case("vcalc(vi, cluster=study, time1=time, phi=0.97)", d[c("study", "time", "yi", "vi")],
  vcalc(vi, cluster = study, time1 = time, phi = 0.97, data = d))

d <- dat.kalaian1996
cases$kalaian <- case("vcalc(vi, cluster=study, type=outcome, rho=0.66)", d[c("study", "outcome", "yi", "vi")],
  vcalc(vi, cluster = study, type = outcome, data = d, rho = 0.66))

d <- dat.berkey1998
cases$berkey <- case("vcalc(vi=1, cluster=author, rvars=c(v1i, v2i))", d[c("author", "outcome", "yi", "vi")],
  vcalc(vi = 1, cluster = author, rvars = c(v1i, v2i), data = d))

d <- dat.knapp2017
d$task.diff <- unlist(lapply(split(d, d$study), function(x) {
  task.int <- as.integer(factor(x$task)); diff.int <- as.integer(factor(x$difficulty))
  diff.int[is.na(diff.int)] <- 1
  paste0(task.int, ".", diff.int)}))
R <- matrix(0.4, nrow = 8, ncol = 8)
R[5:8, 1:4] <- R[1:4, 5:8] <- 0.28
diag(R[1:4, 5:8]) <- 0.7; diag(R[5:8, 1:4]) <- 0.7; diag(R) <- 1
names <- paste0(rep(1:2, each = 4), ".", 1:4)
rownames(R) <- colnames(R) <- names
cases$knapp <- case("vcalc(vi, cluster=study, grp1=group1, grp2=group2, w1=n_sz, w2=n_hc, obs=task.diff, rho=R)",
  d[c("study", "task.diff", "group1", "group2", "n_sz", "n_hc", "yi", "vi")],
  vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, w1 = n_sz, w2 = n_hc, obs = task.diff, rho = R, data = d),
  R = R, levels = names)
cases$knapp_equal <- case("vcalc(vi, cluster=study, grp1=group1, grp2=group2, obs=task.diff, rho=R)",
  d[c("study", "task.diff", "group1", "group2", "yi", "vi")],
  vcalc(vi, cluster = study, grp1 = group1, grp2 = group2, obs = task.diff, rho = R, data = d), R = R, levels = names)

# correlations that contradict each other: nearPD of the Matrix package behind nearpd=TRUE
d <- data.frame(study = c(1, 1, 1, 2), outcome = c("a", "b", "c", "a"), yi = c(.1, .2, .3, .4), vi = c(.04, .09, .01, .02))
R <- matrix(c(1, .9, -.5, .9, 1, .5, -.5, .5, 1), 3, dimnames = list(letters[1:3], letters[1:3]))
cases$nearest <- case("vcalc(vi, cluster=study, obs=outcome, rho=R, nearpd=TRUE)", d,
  vcalc(vi, cluster = study, obs = outcome, data = d, rho = R, nearpd = TRUE), R = R, levels = letters[1:3])

aggregates <- list()
D <- escalc(yi = yi, vi = vi, data = dat.assink2016)
V <- vcalc(vi, cluster = study, type = deltype, obs = esid, data = D, rho = c(0.7, 0.5))
keep <- function(call, r) list(call = call, yi = as.numeric(r$yi), vi = as.numeric(r$vi))
aggregates$rho6 <- keep("aggregate(D, cluster=study, rho=0.6)", aggregate(D, cluster = study, rho = 0.6))
aggregates$unweighted <- keep("aggregate(D, cluster=study, rho=0.6, weighted=FALSE)",
  aggregate(D, cluster = study, rho = 0.6, weighted = FALSE))
aggregates$id <- keep('aggregate(D, cluster=study, struct="ID")', aggregate(D, cluster = study, struct = "ID"))
aggregates$V <- keep("aggregate(D, cluster=study, V=V)", aggregate(D, cluster = study, V = V))
aggregates$V_unweighted <- keep("aggregate(D, cluster=study, V=V, weighted=FALSE)",
  aggregate(D, cluster = study, V = V, weighted = FALSE))

# Gleser & Olkin (2009), Table 19.1 (events) and Table 19.4 (means): data and covariances by their formulas
ev <- data.frame(study = c(1, 1, 2, 3, 3, 3), trt = c(1, 2, 1, 1, 2, 3),
  events2 = c(40, 40, 10, 150, 150, 150), total2 = c(1000, 1000, 200, 2000, 2000, 2000),
  events1 = c(100, 150, 15, 40, 80, 50), total1 = c(4000, 4000, 400, 1000, 1000, 1000))
p <- ev$events2 / ev$total2
shared <- list(RD = p * (1 - p) / ev$total2, OR = 1 / (ev$total2 * p * (1 - p)), RR = (1 - p) / (ev$total2 * p),
               AS = 1 / (4 * ev$total2))
gleser <- list()
fit <- function(dat, V) {
  res <- rma.mv(yi, V, mods = ~ factor(trt) - 1, data = dat, method = "FE")
  list(beta = as.numeric(coef(res)), vb = unname(vcov(res)), QE = res$QE)
}
for (m in names(shared)) {
  e <- escalc(measure = m, ai = events1, n1i = total1, ci = events2, n2i = total2, data = ev)
  V <- bldiag(lapply(split(seq_len(nrow(e)), e$study), function(i) {
    v <- matrix(shared[[m]][i[1]], length(i), length(i)); diag(v) <- e$vi[i]; v }))
  gleser[[m]] <- c(case(m, data.frame(ev, yi = as.numeric(e$yi), vi = as.numeric(e$vi)), V), fit(e, V))
}
s <- data.frame(study = c(1, 1, 2, 3, 4, 4), trt = c(1, 2, 1, 1, 1, 2), mean1 = c(7.87, 4.35, 9.32, 8.08, 7.44, 5.34),
  mean2 = c(-1.36, -1.36, 0.98, 1.17, 0.45, 0.45), sd = c(4.2593, 4.2593, 2.8831, 3.1764, 2.9344, 2.9344),
  n1 = c(25, 22, 38, 50, 30, 30), n2 = c(25, 25, 40, 50, 30, 30))
s$N <- unlist(lapply(split(s, s$study), function(x) rep(sum(x$n1) + x$n2[1], nrow(x))))
s$yi <- (s$mean1 - s$mean2) / s$sd
s$vi <- 1 / s$n1 + 1 / s$n2 + s$yi^2 / (2 * s$N)
V <- bldiag(lapply(split(s, s$study), function(x) {
  v <- 1 / x$n2[1] + outer(x$yi, x$yi) / (2 * x$N[1]); diag(v) <- x$vi; v }))
gleser$SMD <- c(case("SMD", s, V), fit(s, V))

out <- list(
  source = list(call = "tests/golden/make/covariance.R", R = R.version.string,
    packages = list(metafor = as.character(packageVersion("metafor")), metadat = as.character(packageVersion("metadat")))),
  vcalc = cases, aggregates = aggregates, gleser = gleser)
write(toJSON(out, auto_unbox = TRUE, digits = NA), args[1])
