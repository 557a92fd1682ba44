import { UserData } from 'aws-cdk-lib/aws-ec2'
import type { UpesiConfig } from '../config.ts'
import { TIGERBEETLE_PORT } from './traffic.ts'

/**
 * What a machine does when it starts: takes the replica's address and volume, fetches the program, and runs it. The data file is
 * formatted on the first deployment alone; a replica whose volume is empty later asks the others (`recover`), since one that forgot
 * what it promised would break the ledger.
 */
export function tigerbeetleUserData(props: {
  config: UpesiConfig
  index: number
  addresses: string
  volumeId: string
  interfaceId: string
  device: string
}): UserData {
  const { config, index, addresses, volumeId, interfaceId, device } = props
  const { binary, clusterId, replicas, format } = config.tigerbeetle
  const file = `/var/lib/tigerbeetle/${clusterId}_${index}.tigerbeetle`
  const make = format
    ? `format --cluster=${clusterId} --replica=${index} --replica-count=${replicas}`
    : `recover --cluster=${clusterId} --replica=${index} --replica-count=${replicas} --addresses="$addresses"`
  const userData = UserData.forLinux()
  userData.addCommands(
    'set -euo pipefail',
    'token=$(curl -sfX PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 300")',
    'about() { curl -sf -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"; }',
    'instance=$(about instance-id)',
    'export AWS_DEFAULT_REGION=$(about placement/region)',
    `volume=${volumeId}`,
    `interface=${interfaceId}`,
    `addresses=${addresses}`,
    '# A machine before this one may still hold them: it is given a while to let go.',
    'try() { for _ in $(seq 60); do if "$@"; then return 0; fi; sleep 5; done; return 1; }',
    `try aws ec2 attach-volume --volume-id "$volume" --instance-id "$instance" --device ${device}`,
    'try aws ec2 attach-network-interface --network-interface-id "$interface" --instance-id "$instance" --device-index 1',
    'disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$(echo "$volume" | tr -d -)',
    'try test -e "$disk"',
    'blkid "$disk" || mkfs.xfs "$disk"',
    '# This script runs once; a machine that is started again mounts it by itself.',
    'echo "$disk /var/lib/tigerbeetle xfs noatime,nofail 0 0" >> /etc/fstab',
    'mkdir -p /var/lib/tigerbeetle && systemctl daemon-reload && mount /var/lib/tigerbeetle',
    `aws s3 cp "s3://${binary.bucket}/${binary.key}" /tmp/tigerbeetle.zip`,
    `echo "${binary.sha256}  /tmp/tigerbeetle.zip" | sha256sum --check -`,
    'dnf install -y unzip >/dev/null && unzip -o /tmp/tigerbeetle.zip tigerbeetle -d /usr/local/bin',
    'id tigerbeetle || useradd --system --shell /usr/sbin/nologin tigerbeetle',
    'chown tigerbeetle: /var/lib/tigerbeetle',
    '# Under another name until it is whole: a machine that goes in the middle leaves nothing that looks like a replica.',
    `if ! test -e ${file}; then`,
    `  rm -f ${file}.new`,
    `  runuser -u tigerbeetle -- /usr/local/bin/tigerbeetle ${make} ${file}.new`,
    `  mv ${file}.new ${file} && sync`,
    'fi',
    'cat > /etc/systemd/system/tigerbeetle.service <<EOF',
    '[Unit]',
    `Description=TigerBeetle replica ${index}`,
    'After=network-online.target',
    'RequiresMountsFor=/var/lib/tigerbeetle',
    'AssertPathIsMountPoint=/var/lib/tigerbeetle',
    '[Service]',
    'User=tigerbeetle',
    'AmbientCapabilities=CAP_IPC_LOCK',
    `ExecStart=/usr/local/bin/tigerbeetle start --addresses=$(echo "$addresses" | sed "s/[^,]*/0.0.0.0:${TIGERBEETLE_PORT}/${index + 1}") ${file}`,
    'Restart=always',
    'RestartSec=2',
    'LimitMEMLOCK=infinity',
    'NoNewPrivileges=true',
    'ProtectSystem=strict',
    'ReadWritePaths=/var/lib/tigerbeetle',
    '[Install]',
    'WantedBy=multi-user.target',
    'EOF',
    'systemctl daemon-reload && systemctl enable --now tigerbeetle',
  )
  return userData
}
